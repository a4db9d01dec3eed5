#include "core/scheduler/timers.h"

#include <algorithm>
#include <limits>

#include "core/async/task_scope.h"
#include "core/base/log.h"
#include "core/storage/store.h"

namespace fabro::scheduler {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kBatch = 128;
constexpr milliseconds kRetryDelay{1000};         // after a failed read
constexpr milliseconds kLongestSleep{3'600'000};  // the wall clock may be set meanwhile
constexpr Timestamp kNever{std::numeric_limits<std::int64_t>::max()};

Task<void> SleepThenComplete(TimeSource* time, milliseconds duration, std::shared_ptr<Waiter> waiter) {
  const absl::Status slept = co_await time->Sleep(duration);
  if (slept.ok()) waiter->Complete(absl::OkStatus());
}

}  // namespace

Timers::Timers(storage::Store& store, TimeSource& time, Handler on_due)
    : store_(store), time_(time), on_due_(std::move(on_due)), planned_(kNever) {}

void Timers::Arm(Timestamp at) {
  std::shared_ptr<Waiter> wake;
  {
    MutexLock lock(&mutex_);
    if (at >= planned_) return;
    planned_ = at;
    wake = earlier_;
  }
  if (wake) wake->Complete(absl::OkStatus());
}

std::shared_ptr<Waiter> Timers::NextRound() {
  MutexLock lock(&mutex_);
  planned_ = kNever;  // whatever is armed from here on wakes the next sleep
  earlier_ = std::make_shared<Waiter>();
  return earlier_;
}

Task<void> Timers::Run() {
  const Executor executor = co_await CurrentExecutor();
  while (true) {
    const std::shared_ptr<Waiter> wake = NextRound();
    const auto due = co_await store_.DueTimers(time_.Now(), kBatch);
    if (absl::IsCancelled(due.status())) co_return;
    milliseconds sleep = kRetryDelay;
    if (!due.ok()) {
      log::Warn("reading due timers failed; trying again", {{"error", due.status()}});
    } else if (!due->empty()) {
      std::vector<RunId> runs;
      for (const storage::Timer& timer : *due) runs.push_back(timer.run);
      co_await on_due_(std::move(runs));
      const bool cancelled = co_await IsCancelled();
      if (cancelled) co_return;
      // A run that could not be handled is still due: without a pause this would spin.
      const auto left = co_await store_.DueTimers(time_.Now(), 1);
      if (left.ok() && !left->empty() &&
          std::find_if(due->begin(), due->end(), [&](const storage::Timer& timer) {
            return timer.run == left->front().run;
          }) == due->end()) {
        continue;
      }
      if (left.ok() && left->empty()) continue;
    } else {
      const auto next = co_await store_.NextWakeAt();
      if (absl::IsCancelled(next.status())) co_return;
      if (next.ok()) {
        sleep = kLongestSleep;
        if (*next) sleep = std::clamp(**next - time_.Now(), milliseconds(0), kLongestSleep);
      }
    }
    {
      MutexLock lock(&mutex_);
      const Timestamp planned = time_.Now() + sleep;
      if (planned_ < planned) wake->Complete(absl::OkStatus());
      planned_ = std::min(planned_, planned);
    }
    TaskScope sleeper(executor);
    sleeper.SpawnOn(executor, "timer sleep", SleepThenComplete(&time_, sleep, wake));
    const absl::Status woken = co_await wake->Wait();
    sleeper.Cancel();
    co_await sleeper.Join();
    if (!woken.ok()) co_return;
  }
}

}  // namespace fabro::scheduler
