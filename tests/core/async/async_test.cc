#include <gtest/gtest.h>

#include <atomic>

#include "core/async/blocking_pool.h"
#include "core/async/channel.h"
#include "core/async/runtime.h"
#include "core/async/sleep.h"
#include "core/async/task_scope.h"
#include "core/async/with_deadline.h"
#include "tests/support/run_task.h"

namespace fabro {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::RunTask;

Task<void> SleepForever(std::atomic<int>* cancelled) {
  const absl::Status slept = co_await SystemTime().Sleep(hours(24));
  if (absl::IsCancelled(slept)) ++*cancelled;
}

TEST(TaskScope, CancelReachesEveryChildAndJoinWaitsForThem) {
  Runtime runtime(2);
  std::atomic<int> cancelled = 0;
  TaskScope scope(runtime.executor());
  for (int i = 0; i < 100; ++i) scope.Spawn("sleeper", SleepForever(&cancelled));
  scope.Cancel();
  scope.Spawn("late", SleepForever(&cancelled));
  scope.JoinBlocking();
  EXPECT_EQ(cancelled, 101);
}

Task<void> CleanUpAfterCancel(bool* cleaned) {
  (void)co_await SystemTime().Sleep(hours(24));
  co_await Yield();  // a cancelled coroutine may still await its clean-up
  *cleaned = true;
}

TEST(TaskScope, ACancelledChildFinishesItsCleanUp) {
  Runtime runtime(2);
  bool cleaned = false;
  TaskScope scope(runtime.executor());
  scope.Spawn("child", CleanUpAfterCancel(&cleaned));
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_TRUE(cleaned);
}

Task<void> Produce(Channel<int>* channel, int count) {
  for (int i = 1; i <= count; ++i) {
    const absl::Status sent = co_await channel->Send(i);
    EXPECT_TRUE(sent.ok());
  }
}

Task<long> Consume(Channel<int>* channel, int count) {
  long sum = 0;
  for (int i = 0; i < count; ++i) {
    const absl::StatusOr<int> item = co_await channel->Receive();
    sum += item.value_or(0);
  }
  co_return sum;
}

TEST(Channel, DeliversEachItemOnceThroughASmallBuffer) {
  Runtime runtime(2);
  Channel<int> channel(2);
  TaskScope scope(runtime.executor());
  for (int i = 0; i < 4; ++i) scope.Spawn("producer", Produce(&channel, 1000));
  EXPECT_EQ(RunTask(runtime.executor(), Consume(&channel, 4000)), 4 * 500500);
  scope.JoinBlocking();
}

TEST(Channel, FullRefusesAndCloseDrains) {
  Channel<int> channel(1);
  EXPECT_TRUE(channel.TrySend(7));
  EXPECT_FALSE(channel.TrySend(8));
  channel.Close();
  EXPECT_EQ(RunTask(channel.Receive()).value(), 7);
  EXPECT_TRUE(absl::IsCancelled(RunTask(channel.Receive()).status()));
  EXPECT_TRUE(absl::IsCancelled(RunTask(channel.Send(9))));
}

Task<void> ReceiveOnce(Channel<int>* channel, std::atomic<int>* cancelled) {
  const absl::StatusOr<int> item = co_await channel->Receive();
  if (absl::IsCancelled(item.status())) ++*cancelled;
}

TEST(Channel, ACancelledReceiverLosesNoItem) {
  Runtime runtime(2);
  for (int round = 0; round < 200; ++round) {
    Channel<int> channel(4);
    std::atomic<int> cancelled = 0;
    TaskScope scope(runtime.executor());
    scope.Spawn("receiver", ReceiveOnce(&channel, &cancelled));
    TaskScope sending(runtime.executor());
    sending.Spawn("sender", Produce(&channel, 1));
    scope.Cancel();
    scope.JoinBlocking();
    sending.JoinBlocking();
    if (cancelled == 1) EXPECT_EQ(RunTask(runtime.executor(), channel.Receive()).value(), 1);
  }
}

TEST(RunBlocking, GivesTheResultBackAndRefusesWhenFull) {
  // Before the pool, whose threads use them until it is gone.
  Mutex gate;
  CondVar changed;
  bool open = false;
  bool entered = false;
  BlockingPool pool("test", 1, 1);
  auto answer = []() -> absl::StatusOr<int> { return 42; };
  EXPECT_EQ(RunTask(RunBlocking(pool, answer)).value(), 42);
  auto block = [&] {
    MutexLock lock(&gate);
    entered = true;
    changed.NotifyAll();
    while (!open) changed.Wait(&gate);
  };
  ASSERT_TRUE(pool.TryRun(block));
  {
    MutexLock lock(&gate);
    while (!entered) changed.Wait(&gate);
  }
  ASSERT_TRUE(pool.TryRun(block));
  EXPECT_EQ(RunTask(RunBlocking(pool, answer)).status().code(), absl::StatusCode::kResourceExhausted);
  MutexLock lock(&gate);
  open = true;
  changed.NotifyAll();
}

Task<absl::Status> SleepFor(milliseconds duration) { co_return co_await SystemTime().Sleep(duration); }

TEST(WithDeadline, CutsWhatTakesTooLongAndLeavesTheRestAlone) {
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(RunTask(WithDeadline(Deadline::In(milliseconds(5)), SleepFor(hours(24))))));
  EXPECT_TRUE(RunTask(WithDeadline(Deadline::In(hours(1)), SleepFor(milliseconds(1)))).ok());
  EXPECT_TRUE(RunTask(WithDeadline(Deadline::Never(), SleepFor(milliseconds(1)))).ok());
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(RunTask(WithDeadline(Deadline::In(milliseconds(-1)), SleepFor(hours(24))))));
}

Task<void> OuterWait(absl::Status* out) {
  *out = co_await WithDeadline(Deadline::In(hours(1)), SleepFor(hours(24)));
}

TEST(WithDeadline, PassesTheCallersCancellationOn) {
  Runtime runtime(2);
  absl::Status result;
  TaskScope scope(runtime.executor());
  scope.Spawn("outer", OuterWait(&result));
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_TRUE(absl::IsCancelled(result)) << result;
}

// Goes on until it is told to stop, each wait with a limit of its own.
Task<absl::Status> LookAgainAndAgain(milliseconds each, std::atomic<int>* looks) {
  while (true) {
    ++*looks;
    (void)co_await WithDeadline(Deadline::In(each), SleepFor(hours(24)));
    const bool cancelled = co_await IsCancelled();
    if (cancelled) co_return Cancelled("told to stop");
  }
}

TEST(WithDeadline, LeavesACancellationForItsCallerToSee) {
  std::atomic<int> looks = 0;
  // One in the other: the inner wait is long, then short, so that the outer limit meets it anywhere.
  for (const milliseconds each : {milliseconds(3'600'000), milliseconds(1)}) {
    const absl::Status ended =
        RunTask(WithDeadline(Deadline::In(milliseconds(20)), LookAgainAndAgain(each, &looks)));
    EXPECT_TRUE(absl::IsDeadlineExceeded(ended)) << ended;
  }
  EXPECT_GE(looks, 2);
}

Task<void> WaitAfterCancel(absl::Status* out) {
  (void)co_await SystemTime().Sleep(hours(24));
  *out = co_await WithDeadline(Deadline::In(hours(1)), SleepFor(hours(24)));
}

TEST(WithDeadline, StopsAtOnceForACallerThatWasCancelledBefore) {
  Runtime runtime(2);
  absl::Status result;
  TaskScope scope(runtime.executor());
  scope.Spawn("outer", WaitAfterCancel(&result));
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_TRUE(absl::IsCancelled(result)) << result;
}

}  // namespace
}  // namespace fabro
