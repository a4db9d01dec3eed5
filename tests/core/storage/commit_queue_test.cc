#include "core/storage/commit_queue.h"

#include <gtest/gtest.h>

#include <array>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"
#include "core/base/error.h"
#include "core/storage/queries.h"
#include "core/storage/sqlite/migrations.h"
#include "core/storage/sqlite/migrator.h"
#include "tests/core/storage/faulty_connection.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_directory.h"

namespace fabro::storage {
namespace {

using sqlite::SqliteConnection;

RunId Id(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[5] = static_cast<std::uint8_t>(n);
  return RunId::FromBytes(bytes);
}

WriteBatch Create(int n, std::string event = "e") {
  RunRow row;
  row.id = Id(n);
  WriteBatch batch;
  batch.writes.push_back(CreateRun{row, {}, {{std::move(event), ""}}});
  return batch;
}

class CommitQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = (directory_.path() / "fabro.db").string();
    std::fclose(std::fopen(path_.c_str(), "w"));
    auto connection = SqliteConnection::Open(path_, SqliteConnection::Role::kWriter);
    ASSERT_TRUE(connection.ok()) << Describe(connection.status());
    ASSERT_TRUE(sqlite::Migrator(sqlite::kMigrations).Run(**connection).ok());
    Start({});
  }
  void TearDown() override {
    faults_.Release();
    scope_->JoinBlocking();
    queue_.reset();
  }

  void Start(CommitQueue::Limits limits) {
    queue_.reset();
    auto queue = CommitQueue::Start(faults_.Writer(path_), cache_, limits);
    ASSERT_TRUE(queue.ok()) << Describe(queue.status());
    queue_ = *std::move(queue);
  }

  // Starts a commit; its outcome appears in the result after Join().
  std::shared_ptr<absl::Status> Submit(WriteBatch batch) { return SubmitIn(*scope_, std::move(batch)); }
  std::shared_ptr<absl::Status> SubmitIn(TaskScope& scope, WriteBatch batch) {
    auto out = std::make_shared<absl::Status>(absl::UnknownError("not finished"));
    scope.SpawnOn(strand_, "commit", Run(*queue_, std::move(batch), out));
    Settle();
    return out;
  }
  static Task<void> Run(CommitQueue& queue, WriteBatch batch, std::shared_ptr<absl::Status> out) {
    absl::StatusOr<CommitResult> result = co_await queue.Commit(std::move(batch));
    *out = result.status();
  }
  // Everything posted to the strand before has run as far as it goes by itself.
  void Settle() {
    for (int i = 0; i < 10; ++i) {
      TaskScope once(runtime_.executor());
      once.SpawnOn(strand_, "settle", Yield());
      once.JoinBlocking();
    }
  }
  void Join() { scope_->JoinBlocking(); }

  // The writer is held with `leader` in its hands; what is submitted next waits.
  std::shared_ptr<absl::Status> HoldWith(WriteBatch leader) {
    faults_.Hold();
    auto out = Submit(std::move(leader));
    faults_.AwaitHeld();
    return out;
  }

  // From the database itself.
  absl::StatusOr<RunRow> Stored(int n) {
    auto connection = SqliteConnection::Open(path_, SqliteConnection::Role::kReader);
    if (!connection.ok()) return connection.status();
    return QueryRun(**connection, Id(n));
  }

  testing::TempDirectory directory_;
  std::string path_;
  testing::Faults faults_;
  Runtime runtime_{2};
  Executor strand_ = MakeStrand(runtime_.executor());
  RowCache cache_{{}};
  std::unique_ptr<CommitQueue> queue_;
  std::unique_ptr<TaskScope> scope_ = std::make_unique<TaskScope>(runtime_.executor());
};

// A rule that fails the append of the event "poison".
absl::Status RefusePoison(std::string_view step, std::initializer_list<SqlValue> values) {
  if (step != "append events") return absl::OkStatus();
  for (const SqlValue& value : values) {
    const auto* blob = std::get_if<Blob>(&value);
    if (blob != nullptr && blob->bytes.find("poison") != std::string_view::npos)
      return Internal("cannot swallow it");
  }
  return absl::OkStatus();
}

TEST_F(CommitQueueTest, WhatWaitsTogetherIsCommittedTogether) {
  const auto leader = HoldWith(Create(1));
  std::vector<std::shared_ptr<absl::Status>> outcomes;
  for (int n = 2; n < 30; ++n) outcomes.push_back(Submit(Create(n)));
  faults_.Release();
  Join();
  EXPECT_TRUE(leader->ok());
  for (const auto& outcome : outcomes) EXPECT_TRUE(outcome->ok()) << *outcome;
  EXPECT_EQ(faults_.Count("commit"), 2);
  EXPECT_TRUE(Stored(29).ok());
}

TEST_F(CommitQueueTest, ABadBatchHarmsOnlyItself) {
  faults_.SetRule(RefusePoison);
  const auto leader = HoldWith(Create(1));
  const auto before = Submit(Create(2));
  const auto bad = Submit(Create(3, "poison"));
  const auto after = Submit(Create(4));
  faults_.Release();
  Join();
  EXPECT_TRUE(leader->ok());
  EXPECT_TRUE(before->ok());
  EXPECT_TRUE(after->ok());
  EXPECT_EQ(bad->code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(Stored(2).ok());
  EXPECT_EQ(ReasonOf(Stored(3).status()), Reason::kRunNotFound);
  EXPECT_TRUE(Stored(4).ok());
  EXPECT_EQ(cache_.Find(Id(3)), nullptr);
}

TEST_F(CommitQueueTest, ARefusedConditionNeedsNoRepetition) {
  const auto leader = HoldWith(Create(1));
  const auto stale = Submit(Create(1));
  const auto good = Submit(Create(2));
  faults_.Release();
  Join();
  EXPECT_TRUE(leader->ok());
  EXPECT_EQ(ReasonOf(*stale), Reason::kStaleHead);
  EXPECT_TRUE(good->ok());
  EXPECT_EQ(faults_.Count("commit"), 2);
}

TEST_F(CommitQueueTest, ARefusalInTheMiddleOfABatchTakesBackItsBeginning) {
  const auto leader = HoldWith(Create(1));
  WriteBatch half = Create(2);
  for (auto& write : Create(1).writes) half.writes.push_back(std::move(write));
  const auto refused = Submit(std::move(half));
  const auto good = Submit(Create(3));
  faults_.Release();
  Join();
  EXPECT_EQ(ReasonOf(*refused), Reason::kStaleHead);
  EXPECT_TRUE(good->ok());
  EXPECT_EQ(ReasonOf(Stored(2).status()), Reason::kRunNotFound);
  EXPECT_TRUE(Stored(3).ok());
}

TEST_F(CommitQueueTest, AFullDiskFailsCommitsUntilThereIsSpaceAgain) {
  ASSERT_TRUE(testing::RunTask(runtime_.executor(), queue_->Commit(Create(1))).ok());
  auto full = [](std::string_view step, std::initializer_list<SqlValue>) {
    return step == "commit" ? Unavailable(Reason::kStorageFailed, "", "database or disk is full")
                            : absl::OkStatus();
  };
  faults_.SetRule(full);
  const auto leader = HoldWith(Create(2));
  const auto follower = Submit(Create(3));
  faults_.Release();
  Join();
  for (const auto& outcome : {leader, follower}) {
    EXPECT_EQ(outcome->code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ReasonOf(*outcome), Reason::kStorageFailed);
  }
  EXPECT_EQ(ReasonOf(Stored(2).status()), Reason::kRunNotFound);
  EXPECT_EQ(cache_.Find(Id(2)), nullptr);
  faults_.SetRule(nullptr);
  EXPECT_TRUE(testing::RunTask(runtime_.executor(), queue_->Commit(Create(2))).ok());
}

TEST_F(CommitQueueTest, SqliteItselfRecoversFromBeingFull) {
  auto connection = SqliteConnection::Open(path_, SqliteConnection::Role::kWriter);
  ASSERT_TRUE(connection.ok());
  SqliteConnection* sqlite = connection->get();
  ASSERT_TRUE(sqlite->RunScript("PRAGMA max_page_count = 60").ok());
  bool given = false;
  auto factory = [&]() -> absl::StatusOr<std::unique_ptr<SqlConnection>> {
    if (std::exchange(given, true)) return Internal("the connection should have been kept");
    return *std::move(connection);
  };
  auto queue = CommitQueue::Start(factory, cache_, {});
  ASSERT_TRUE(queue.ok());
  const auto large =
      testing::RunTask(runtime_.executor(), (*queue)->Commit(Create(1, std::string(400'000, 'x'))));
  EXPECT_EQ(ReasonOf(large.status()), Reason::kStorageFailed);
  EXPECT_EQ(large.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(testing::RunTask(runtime_.executor(), (*queue)->Commit(Create(2))).ok());
  ASSERT_TRUE(sqlite->RunScript("PRAGMA max_page_count = 1000").ok());  // the writer sleeps
  EXPECT_TRUE(
      testing::RunTask(runtime_.executor(), (*queue)->Commit(Create(1, std::string(400'000, 'x')))).ok());
}

TEST_F(CommitQueueTest, AFailedCommitLeavesTheOutcomeOpenAndTheConnectionIsReplaced) {
  ASSERT_TRUE(testing::RunTask(runtime_.executor(), queue_->Commit(Create(1))).ok());
  auto dies = [](std::string_view step, std::initializer_list<SqlValue>) {
    return step == "commit" ? Unavailable(Reason::kOutcomeUnknown, "", "link lost") : absl::OkStatus();
  };
  faults_.SetRule(dies);
  const auto leader = HoldWith(Create(2));
  const auto follower = Submit(Create(3));
  const auto stale = Submit(Create(1));
  faults_.SetOpenResult(Unavailable(Reason::kStorageFailed, "", "still away"));
  faults_.Release();
  Join();
  for (const auto& outcome : {leader, follower}) {
    EXPECT_EQ(outcome->code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(ReasonOf(*leader), Reason::kOutcomeUnknown);
  EXPECT_EQ(ReasonOf(*follower), Reason::kStorageFailed);  // no connection to try it with
  EXPECT_EQ(ReasonOf(*stale), Reason::kStorageFailed);
  EXPECT_EQ(cache_.Find(Id(2)), nullptr);

  faults_.SetRule(nullptr);
  EXPECT_EQ(ReasonOf(testing::RunTask(runtime_.executor(), queue_->Commit(Create(4))).status()),
            Reason::kStorageFailed);
  faults_.SetOpenResult(absl::OkStatus());
  EXPECT_TRUE(testing::RunTask(runtime_.executor(), queue_->Commit(Create(4))).ok());
  EXPECT_TRUE(Stored(2).ok());  // this fault committed before it struck
}

TEST_F(CommitQueueTest, EveryoneInAGroupOfUnknownOutcomeIsTold) {
  const auto first = HoldWith(Create(1));
  const auto second = Submit(Create(2));
  const auto third = Submit(Create(3));
  int commits = 0;
  auto second_dies = [&commits](std::string_view step, std::initializer_list<SqlValue>) {
    if (step == "commit" && ++commits == 2) return Unavailable(Reason::kOutcomeUnknown, "", "link lost");
    return absl::OkStatus();
  };
  faults_.SetRule(second_dies);
  faults_.Release();
  Join();
  EXPECT_TRUE(first->ok());
  EXPECT_EQ(ReasonOf(*second), Reason::kOutcomeUnknown);
  EXPECT_EQ(ReasonOf(*third), Reason::kOutcomeUnknown);
}

// Fails every step in turn until none fails: whatever fails, what was refused is not there, and what was
// acknowledged is.
TEST_F(CommitQueueTest, WhateverStepFailsTheAnswerIsTrue) {
  int n = 1;
  for (int fail_at = 1;; ++fail_at) {
    ASSERT_LT(fail_at, 100);
    ASSERT_LT(n, 250);
    int step_number = 0;
    bool failed = false;
    auto rule = [&](std::string_view, std::initializer_list<SqlValue>) {
      if (++step_number != fail_at) return absl::OkStatus();
      failed = true;
      return Unavailable(Reason::kStorageFailed, "", "injected");
    };
    const auto leader = HoldWith(Create(n));
    const auto second = Submit(Create(n + 1));
    const auto third = Submit(Create(n + 2));
    faults_.SetRule(rule);
    faults_.Release();
    Join();
    faults_.SetRule(nullptr);
    int i = 0;
    for (const auto& outcome : {leader, second, third}) {
      EXPECT_EQ(outcome->ok(), Stored(n + i).ok()) << fail_at << ' ' << i;
      EXPECT_EQ(outcome->ok(), cache_.Find(Id(n + i)) != nullptr) << fail_at << ' ' << i;
      ++i;
    }
    n += 3;
    if (!failed) break;
  }
}

TEST_F(CommitQueueTest, RefusesMoreThanItsBounds) {
  CommitQueue::Limits limits;
  limits.waiting = 2;
  limits.waiting_bytes = 100'000;
  Start(limits);
  const auto leader = HoldWith(Create(1));
  const auto second = Submit(Create(2));
  const auto large = Submit(Create(3, std::string(100'000, 'x')));
  const auto third = Submit(Create(4));
  const auto fourth = Submit(Create(5));
  EXPECT_EQ(large->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(*large), Reason::kLimit);
  EXPECT_EQ(fourth->code(), absl::StatusCode::kResourceExhausted);
  faults_.Release();
  Join();
  EXPECT_TRUE(leader->ok());
  EXPECT_TRUE(second->ok());
  EXPECT_TRUE(third->ok());
}

TEST_F(CommitQueueTest, ASmallLeaderIsNotHeldBackByALargeFollower) {
  const auto leader = HoldWith(Create(1));
  const auto small = Submit(Create(2));
  const auto large = Submit(Create(3, std::string(500'000, 'x')));
  const auto last = Submit(Create(4));
  faults_.Release();
  Join();
  EXPECT_TRUE(leader->ok() && small->ok() && large->ok() && last->ok());
  EXPECT_EQ(faults_.Count("commit"), 3);  // 1; 2; 3 with 4
}

TEST_F(CommitQueueTest, ACommitThatStillWaitsIsTakenBackWhenItsCallerIsCancelled) {
  const auto leader = HoldWith(Create(1));
  TaskScope caller(runtime_.executor());
  const auto outcome = SubmitIn(caller, Create(2));
  caller.Cancel();
  caller.JoinBlocking();
  EXPECT_EQ(outcome->code(), absl::StatusCode::kCancelled);
  faults_.Release();
  Join();
  EXPECT_EQ(ReasonOf(Stored(2).status()), Reason::kRunNotFound);
  EXPECT_TRUE(testing::RunTask(runtime_.executor(), queue_->Commit(Create(3))).ok());
}

TEST_F(CommitQueueTest, ACommitInProgressIsAwaitedWhenItsCallerIsCancelled) {
  faults_.Hold();
  TaskScope caller(runtime_.executor());
  const auto outcome = SubmitIn(caller, Create(1));
  faults_.AwaitHeld();
  caller.Cancel();
  Settle();
  EXPECT_EQ(caller.size(), 1u);
  faults_.Release();
  caller.JoinBlocking();
  EXPECT_TRUE(outcome->ok()) << *outcome;
  EXPECT_TRUE(Stored(1).ok());
}

TEST_F(CommitQueueTest, StopFinishesWhatWaitsAndRefusesTheRest) {
  const auto leader = HoldWith(Create(1));
  const auto second = Submit(Create(2));
  faults_.Release();
  queue_->Stop();
  Join();
  EXPECT_TRUE(leader->ok());
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(ReasonOf(testing::RunTask(runtime_.executor(), queue_->Commit(Create(3))).status()),
            Reason::kDraining);
}

}  // namespace
}  // namespace fabro::storage
