#include "core/scheduler/timers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"
#include "core/storage/sqlite/sqlite_store.h"
#include "tests/core/storage/faulty_connection.h"
#include "tests/support/manual_time.h"
#include "tests/support/run_task.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temp_directory.h"

namespace fabro::scheduler {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ManualTime;

constexpr milliseconds kRetryDelay{1000};
constexpr milliseconds kLongestSleep{hours(1)};

class TimersTest : public ::testing::Test {
 protected:
  TimersTest()
      : runtime_(2),
        random_(1),
        ids_(random_),
        store_(Open()),
        scope_(runtime_.executor()),
        timers_(*store_, time_, [this](std::vector<RunId> runs) { return OnDue(std::move(runs)); }) {}
  ~TimersTest() override { Stop(); }

  void Run() { scope_.Spawn("timers", timers_.Run()); }
  void Stop() {
    scope_.Cancel();
    scope_.JoinBlocking();
  }

  RunId AddRun(Timestamp wake_at) {
    storage::CreateRun create;
    create.row.id = ids_.Next(time_.Now());
    create.row.created_at = time_.Now();
    create.row.status = RunStatus::kRunning;
    create.row.queue_state = storage::QueueState::kNone;
    create.row.wake_at = wake_at;
    const storage::RunRow row = create.row;
    Commit(create);
    MutexLock lock(&mutex_);
    rows_[row.id] = row;
    return row.id;
  }
  void Commit(storage::Write write) {
    storage::WriteBatch batch;
    batch.writes.push_back(std::move(write));
    const auto committed = testing::RunTask(runtime_.executor(), store_->Commit(std::move(batch)));
    ASSERT_TRUE(committed.ok()) << committed.status();
  }
  std::size_t handled() {
    MutexLock lock(&mutex_);
    return handled_.size();
  }
  void AwaitHandled(std::size_t count) {
    const auto give_up = std::chrono::steady_clock::now() + seconds(20);
    while (handled() < count) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << handled() << " handled";
      std::this_thread::yield();
    }
  }

  testing::TempDirectory folder_;
  testing::Faults faults_;
  Runtime runtime_;
  ManualTime time_;
  testing::SeededRandom random_;
  RunIdSource ids_;
  std::unique_ptr<storage::Store> store_;
  Mutex mutex_;
  std::vector<RunId> handled_ GUARDED_BY(mutex_);
  std::map<RunId, storage::RunRow> rows_ GUARDED_BY(mutex_);
  std::atomic<bool> clears_ = true;  // the handler takes the timer out of the store
  TaskScope scope_;
  Timers timers_;

 private:
  std::unique_ptr<storage::Store> Open() {
    storage::sqlite::SqliteOptions options;
    options.path = folder_.path() / "fabro.db";
    options.wrap = [this](auto connection) { return faults_.Wrap(std::move(connection)); };
    return *storage::sqlite::OpenSqliteStore(std::move(options));
  }
  Task<void> OnDue(std::vector<RunId> runs) {
    for (const RunId& run : runs) {
      storage::AppendRecords append;
      {
        MutexLock lock(&mutex_);
        handled_.push_back(run);
        append.row = rows_[run];
      }
      append.row.wake_at.reset();
      if (!clears_) continue;
      storage::WriteBatch batch;
      batch.writes.emplace_back(append);
      (void)co_await store_->Commit(std::move(batch));
    }
  }
};

TEST_F(TimersTest, WakesAtTheDueTimeAndNotBefore) {
  AddRun(time_.Now() + seconds(60));
  Run();
  time_.AwaitSleeper(seconds(60));
  time_.Advance(milliseconds(59'999));
  EXPECT_EQ(handled(), 0U);
  time_.Advance(milliseconds(1));
  AwaitHandled(1);
  time_.AwaitSleeper(kLongestSleep);
}

TEST_F(TimersTest, WhatWasDueBeforeTheStartIsHandledAtOnce) {
  AddRun(time_.Now() + seconds(-1));
  AddRun(time_.Now());
  Run();
  AwaitHandled(2);
}

TEST_F(TimersTest, AnEarlierTimeIsArmedWhileItSleeps) {
  Run();
  time_.AwaitSleeper(kLongestSleep);
  const Timestamp later = time_.Now() + seconds(100);
  AddRun(later);
  timers_.Arm(later);
  time_.AwaitSleeper(seconds(100));
  const Timestamp sooner = time_.Now() + seconds(5);
  const RunId first = AddRun(sooner);
  timers_.Arm(sooner);
  time_.AwaitSleeper(seconds(5));
  time_.Advance(seconds(5));
  AwaitHandled(1);
  {
    MutexLock lock(&mutex_);
    EXPECT_EQ(handled_[0], first);
  }
  time_.AwaitSleeper(seconds(95));
}

TEST_F(TimersTest, ManyDueAtOnceAreAllHandledOnce) {
  constexpr int kMany = 300;  // more than a batch
  for (int i = 0; i < kMany; ++i) AddRun(time_.Now() + seconds(1));
  Run();
  time_.AwaitSleeper(seconds(1));
  time_.Advance(seconds(1));
  AwaitHandled(kMany);
  time_.AwaitSleeper(kLongestSleep);
  MutexLock lock(&mutex_);
  EXPECT_EQ(std::set<RunId>(handled_.begin(), handled_.end()).size(), static_cast<std::size_t>(kMany));
  EXPECT_EQ(handled_.size(), static_cast<std::size_t>(kMany));
}

TEST_F(TimersTest, ARunThatStaysDueIsTriedOnceASecond) {
  clears_ = false;
  AddRun(time_.Now());
  Run();
  for (std::size_t times = 1; times <= 3; ++times) {
    AwaitHandled(times);
    time_.AwaitSleeper(kRetryDelay);
    EXPECT_EQ(handled(), times);
    time_.Advance(kRetryDelay);
  }
  clears_ = true;
  AwaitHandled(4);
}

TEST_F(TimersTest, GoesOnAfterAStoreThatFailed) {
  AddRun(time_.Now());
  faults_.SetRule([](std::string_view step, auto) {
    return step == "list due timers" ? Unavailable(Reason::kStorageFailed, "", "no disk") : absl::OkStatus();
  });
  Run();
  time_.AwaitSleeper(kRetryDelay);
  time_.Advance(kRetryDelay);
  time_.AwaitSleeper(kRetryDelay);
  EXPECT_EQ(handled(), 0U);
  faults_.SetRule(nullptr);
  time_.Advance(kRetryDelay);
  AwaitHandled(1);
}

TEST_F(TimersTest, EndsWhenCancelledAtAnyPoint) {
  for (int yields = 0; yields < 50; ++yields) {
    TaskScope scope(runtime_.executor());
    Timers timers(*store_, time_, [](std::vector<RunId>) -> Task<void> { co_return; });
    scope.Spawn("timers", timers.Run());
    for (int i = 0; i < yields; ++i) std::this_thread::yield();
    scope.Cancel();
    scope.JoinBlocking();
  }
}

}  // namespace
}  // namespace fabro::scheduler
