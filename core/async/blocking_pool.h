// Threads for calls that block: file reads, process creation, fsync. Coroutines await them through
// RunBlocking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "core/async/waiter.h"
#include "core/base/error.h"

namespace fabro {

// Thread-safe. The queue is bounded: when it is full new work is refused, so that overload shows at once.
class BlockingPool {
 public:
  BlockingPool(std::string name, int threads, std::size_t max_queued);
  ~BlockingPool();  // runs what is queued, then joins
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  bool TryRun(std::function<void()> work);  // false when the queue is full

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Runs fn() on the pool and resumes with its result, a StatusOr or Status. A cancelled caller goes on at
// once; the call itself runs to its end and its result is dropped.
template <typename Fn>
auto RunBlocking(BlockingPool& pool, Fn fn) -> Task<std::invoke_result_t<Fn&>> {
  using Result = std::invoke_result_t<Fn&>;
  struct Shared {
    explicit Shared(Fn f) : fn(std::move(f)) {}
    Fn fn;
    std::optional<Result> result;
    Waiter waiter;
  };
  auto shared = std::make_shared<Shared>(std::move(fn));
  const bool accepted = pool.TryRun([shared] {
    shared->result.emplace(shared->fn());
    shared->waiter.Complete(absl::OkStatus());
  });
  if (!accepted) {
    co_return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, "",
                    "too many blocking calls are waiting");
  }
  absl::Status waited = co_await shared->waiter.Wait();
  if (!waited.ok()) co_return waited;
  co_return *std::move(shared->result);
}

}  // namespace fabro
