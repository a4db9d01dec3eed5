// The disk fails under running workflows: nothing is lost, and they go on when it works again.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/core/storage/faulty_connection.h"
#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro::runtime {
namespace {

using std::chrono::milliseconds;
using testing::Faults;
using testing::RunWorld;
using testing::TempDirectory;
using testing::WorldOptions;

constexpr milliseconds kStorageRetry{500};

constexpr const char* kChain = R"(digraph chain {
  start -> one -> two -> gate
  one [shape=parallelogram, script=1]
  two [shape=parallelogram, script=2]
  gate [shape=hexagon, label="Go on?"]
  three [shape=parallelogram, script=3]
  gate -> three [label="[Y] Yes"]
  gate -> exit [label="[N] No"]
  three -> exit
})";

absl::Status DiskFull() { return Unavailable(Reason::kStorageFailed, "", "disk full"); }
absl::Status Unknown() { return Unavailable(Reason::kOutcomeUnknown, "", "the commit may have happened"); }

class StorageFailureTest : public ::testing::Test {
 protected:
  StorageFailureTest() {
    WorldOptions options;
    options.folder = folder_.path();
    options.wrap = [this](std::unique_ptr<storage::SqlConnection> connection) {
      return faults_.Wrap(std::move(connection));
    };
    world_ = std::make_unique<RunWorld>(options);
    world_->Start();
  }
  ~StorageFailureTest() override { faults_.SetRule(nullptr); }

  // Every commit fails.
  void Break() {
    faults_.SetRule(
        [](std::string_view step, auto) { return step == "commit" ? DiskFull() : absl::OkStatus(); });
  }
  void Repair() { faults_.SetRule(nullptr); }

  void ExpectWhole(RunId run) {
    const std::vector<v1::Event> events = world_->Events(run);
    EXPECT_EQ(events.size(), ToUint(world_->Row(run).head));
    EXPECT_EQ(world_->CountEvents(run, v1::Event::kInterviewStarted), 1);
    EXPECT_EQ(world_->CountEvents(run, v1::Event::kWorkflowRunResumed), 0);
    for (const char* stage : {"one", "two", "three"}) EXPECT_EQ(world_->stages.started(stage), 1) << stage;
    world_->AwaitNoActors();
    EXPECT_EQ(world_->admission.counts().held, 0U);
  }

  TempDirectory folder_;
  Faults faults_;
  std::unique_ptr<RunWorld> world_;
};

TEST_F(StorageFailureTest, AStageThatEndsOnAFullDiskIsNotLost) {
  world_->stages.Hold("one");
  const RunId run = world_->Create(kChain);
  world_->stages.AwaitRunning("one", 1);
  const EventSeq head = world_->Row(run).head;
  Break();
  world_->stages.Finish("one");
  world_->time.AwaitSleeper(kStorageRetry);
  EXPECT_EQ(world_->Row(run).head, head);
  world_->time.Advance(kStorageRetry);
  world_->time.AwaitSleeper(kStorageRetry);  // tried again, in vain
  EXPECT_EQ(world_->stages.started("two"), 0);
  Repair();
  world_->time.Advance(kStorageRetry);
  world_->AwaitQuestion(run);
  ASSERT_TRUE(world_->AnswerWith(run, "q-1", "y").ok());
  EXPECT_EQ(world_->AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectWhole(run);
}

TEST_F(StorageFailureTest, AnAnswerWaitsForTheDisk) {
  const RunId run = world_->Create(kChain);
  world_->AwaitQuestion(run);
  world_->AwaitNoActors();
  Break();
  engine::Answer answer;
  answer.question_id = "q-1";
  answer.selected_option_key = "y";
  std::optional<absl::StatusOr<storage::RunRow>> told;
  TaskScope scope(world_->runtime.executor());
  scope.Spawn("answer", testing::KeepResult(world_->supervisor.Tell(run, answer), &told));
  world_->time.AwaitSleeper(kStorageRetry);
  EXPECT_EQ(world_->Row(run).open_questions, 1);
  Repair();
  world_->time.Advance(kStorageRetry);
  scope.JoinBlocking();
  EXPECT_TRUE(told->ok()) << told->status();
  EXPECT_EQ(world_->AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectWhole(run);
}

// A silent stage is told from one whose words cannot be written.
TEST_F(StorageFailureTest, AFullDiskIsNoSilence) {
  std::atomic<bool> written = false;
  Waiter end;
  world_->stages.SetScript([&](stages::StageRequest, stages::StageOutputSink* sink) -> Task<engine::Outcome> {
    co_await sink->Write(false, "words");
    written = true;
    (void)co_await end.Wait();
    co_return engine::Outcome{};
  });
  // The run is made before the disk is full; its stage speaks afterwards.
  faults_.SetRule([this](std::string_view step, auto) {
    return step == "commit" && world_->stages.started("build") > 0 ? DiskFull() : absl::OkStatus();
  });
  const RunId run = world_->Create(R"(digraph s { stall_timeout="60s"  start -> build -> exit
    build [shape=parallelogram, script=b] })");
  world_->time.AwaitSleeper(std::chrono::seconds(60));
  for (int i = 0; i < 150; ++i) {
    world_->time.AwaitSleeper(kStorageRetry);
    world_->time.Advance(kStorageRetry);
  }
  EXPECT_FALSE(written);
  world_->time.AwaitSleeper(kStorageRetry);
  Repair();
  world_->time.Advance(kStorageRetry);
  world_->time.AwaitSleeper(std::chrono::seconds(60));  // it watches on
  EXPECT_EQ(world_->Row(run).status, RunStatus::kRunning);
  end.Complete(absl::OkStatus());
  EXPECT_EQ(world_->AwaitEnd(run).status, RunStatus::kCompleted);
}

// Each commit in turn was made without anybody being told.
TEST_F(StorageFailureTest, ACommitOfUnknownOutcomeIsLookedUp) {
  int commits = 0;
  for (int unknown = 0;; ++unknown) {
    commits = 0;
    faults_.SetRule([&commits, unknown](std::string_view step, auto) {
      return step == "commit" && commits++ == unknown ? Unknown() : absl::OkStatus();
    });
    RunWorld& world = *world_;
    const RunId run = world.Create(kChain);
    world.AwaitQuestion(run);
    ASSERT_TRUE(world.AnswerWith(run, "q-1", "n").ok());
    EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
    EXPECT_EQ(world.Events(run).size(), ToUint(world.Row(run).head));
    EXPECT_EQ(world.CountEvents(run, v1::Event::kInterviewStarted), 1);
    world.AwaitNoActors();
    EXPECT_EQ(world.admission.counts().held, 0U);
    EXPECT_EQ(world.stages.started("one"), unknown + 1);
    EXPECT_EQ(world.stages.started("two"), unknown + 1);
    faults_.SetRule(nullptr);
    if (commits <= unknown || ::testing::Test::HasFailure()) break;  // it had no commit that could fail
  }
  EXPECT_GE(commits, 5);
}

// ... or was not made: the connection broke before.
TEST_F(StorageFailureTest, ACommitThatDidNotHappenIsMadeAgain) {
  world_->stages.Hold("one");
  const RunId run = world_->Create(kChain);
  world_->stages.AwaitRunning("one", 1);
  std::atomic<int> failures = 0;
  faults_.SetRule([&](std::string_view step, auto) {
    return step == "append events" && failures++ < 3 ? Unknown() : absl::OkStatus();
  });
  world_->stages.Finish("one");
  world_->AwaitQuestion(run);
  EXPECT_GT(failures, 3);
  ASSERT_TRUE(world_->AnswerWith(run, "q-1", "y").ok());
  EXPECT_EQ(world_->AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectWhole(run);
}

TEST_F(StorageFailureTest, ARunThatWasNotMadeIsNotRun) {
  faults_.SetRule(
      [](std::string_view step, auto) { return step == "insert run" ? Unknown() : absl::OkStatus(); });
  const auto created = world_->Await(world_->supervisor.Create(world_->MakeRun(kChain)));
  EXPECT_EQ(ReasonOf(created.status()), Reason::kOutcomeUnknown);
  Repair();
  EXPECT_EQ(world_->admission.counts().held + world_->admission.counts().waiting_new, 0U);
  const auto page = world_->Await(world_->store->ListRuns(storage::RunFilter(), 10, 0));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->total, 0);
}

}  // namespace
}  // namespace fabro::runtime
