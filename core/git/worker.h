// Git operations for coroutines.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/async/blocking_pool.h"
#include "core/async/sleep.h"
#include "core/async/task.h"
#include "core/async/waiter.h"
#include "core/git/stop.h"

namespace fabro::git {

// Thread-safe; outlives its calls.
class Worker {
 public:
  // A lock of git's that another program holds is waited for so often, so long each time.
  static constexpr int kLockTries = 100;
  static constexpr std::chrono::milliseconds kLockWait{50};

  Worker(BlockingPool& pool, TimeSource& time) : pool_(pool), time_(time) {}

  // fn(const Stop&), which gives a Status or StatusOr, on the pool. A cancelled caller stops it and waits for
  // its end, so that nothing of it goes on behind the caller's back. It may be called more than once.
  template <typename Fn>
  auto Do(Fn fn) -> Task<std::invoke_result_t<Fn&, const Stop&>> {
    using Result = std::invoke_result_t<Fn&, const Stop&>;
    for (int tries = 1;; ++tries) {
      auto call = std::make_shared<Call<Fn, Result>>(fn);
      const bool accepted = pool_.TryRun([call] { call->Run(); });
      if (!accepted) {
        co_return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, "",
                        "too many git operations are waiting");
      }
      auto stop = [call] { call->stop.Ask(); };
      (void)co_await call->waiter.WaitOrAbort(std::move(stop));
      Result result = *std::move(call->result);
      if (!absl::IsUnavailable(StatusOf(result)) || tries == kLockTries) co_return std::move(result);
      absl::Status slept = co_await time_.Sleep(kLockWait);
      if (!slept.ok()) co_return slept;
    }
  }

 private:
  template <typename Fn, typename Result>
  struct Call {
    explicit Call(Fn f) : fn(std::move(f)) {}
    void Run() {
      if (stop.asked()) {
        result.emplace(Cancelled("stopped before it began"));
      } else {
        result.emplace(fn(stop));
      }
      waiter.Complete(absl::OkStatus());
    }

    Fn fn;
    Stop stop;
    std::optional<Result> result;
    Waiter waiter;
  };

  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

  BlockingPool& pool_;
  TimeSource& time_;
};

}  // namespace fabro::git
