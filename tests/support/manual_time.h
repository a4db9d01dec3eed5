// Time that passes when a test says so.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/async/sleep.h"
#include "core/async/waiter.h"
#include "core/base/mutex.h"

namespace fabro::testing {

// Thread-safe.
class ManualTime final : public TimeSource {
 public:
  explicit ManualTime(Timestamp start = Timestamp{1'767'225'600'000}) : start_(start), now_(start) {}

  Timestamp Now() const override {
    MutexLock lock(&mutex_);
    return now_;
  }
  std::chrono::steady_clock::time_point Steady() const override {
    return std::chrono::steady_clock::time_point() + std::chrono::hours(1) + (Now() - start_);
  }
  Task<absl::Status> Sleep(std::chrono::milliseconds duration) override {
    auto waiter = std::make_shared<Waiter>();
    {
      MutexLock lock(&mutex_);
      if (duration.count() > 0) {
        sleepers_.push_back({now_ + duration, duration, waiter});
      } else {
        waiter->Complete(absl::OkStatus());
      }
    }
    absl::Status status = co_await waiter->Wait();
    if (!status.ok()) {
      MutexLock lock(&mutex_);
      sleepers_.remove_if([&](const Sleeper& sleeper) { return sleeper.waiter == waiter; });
    }
    co_return status;
  }

  void Advance(std::chrono::milliseconds by) { AdvanceTo(Now() + by); }
  // Time never goes back: an instant that has passed changes nothing.
  void AdvanceTo(Timestamp at) {
    AdvanceIf(at, [](const Sleeper&) { return true; }, /*with_nobody=*/true);
  }

  // Blocks until somebody sleeps for just this long, for at most 20 s of real time.
  void AwaitSleeper(std::chrono::milliseconds duration) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!HasSleeper([duration](const Sleeper& sleeper) { return sleeper.duration == duration; })) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up)
          << "nobody sleeps for " << duration.count() << " ms";
      std::this_thread::yield();
    }
  }
  // When the first of those who sleep wakes.
  std::optional<Timestamp> EarliestSleeper() const {
    MutexLock lock(&mutex_);
    std::optional<Timestamp> earliest;
    for (const Sleeper& sleeper : sleepers_) earliest = std::min(earliest.value_or(sleeper.due), sleeper.due);
    return earliest;
  }
  // Goes to an instant that somebody is to wait for: whoever has looked at the clock, but does not sleep yet,
  // would sleep too long.
  void AdvanceToSleeper(Timestamp at) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto is_met = [at](const Sleeper& sleeper) { return sleeper.due == at; };
    while (!AdvanceIf(at, is_met)) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "nobody sleeps until " << FormatRfc3339(at);
      std::this_thread::yield();
    }
  }

 private:
  struct Sleeper {
    Timestamp due;
    std::chrono::milliseconds duration;
    std::shared_ptr<Waiter> waiter;
  };

  template <typename Matches>
  bool HasSleeper(Matches matches) const {
    MutexLock lock(&mutex_);
    return std::any_of(sleepers_.begin(), sleepers_.end(), matches);
  }

  // The look and the step are one: between them a sleeper could go and plan anew by the old time.
  template <typename Matches>
  bool AdvanceIf(Timestamp at, Matches matches, bool with_nobody = false) {
    std::vector<std::shared_ptr<Waiter>> due;
    {
      MutexLock lock(&mutex_);
      const bool has_come = with_nobody || at <= now_;
      if (!has_come && std::none_of(sleepers_.begin(), sleepers_.end(), matches)) return false;
      now_ = std::max(now_, at);
      for (auto sleeper = sleepers_.begin(); sleeper != sleepers_.end();) {
        const bool is_due = sleeper->due <= now_;
        if (is_due) due.push_back(sleeper->waiter);
        sleeper = is_due ? sleepers_.erase(sleeper) : std::next(sleeper);
      }
    }
    for (const auto& waiter : due) waiter->Complete(absl::OkStatus());
    return true;
  }

  const Timestamp start_;
  mutable Mutex mutex_;
  Timestamp now_ GUARDED_BY(mutex_);
  std::list<Sleeper> sleepers_ GUARDED_BY(mutex_);
};

}  // namespace fabro::testing
