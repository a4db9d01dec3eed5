// Bounds an operation in time.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "core/async/deadline.h"
#include "core/async/task.h"
#include "core/base/error.h"

namespace fabro {

namespace internal {
// Runs `work` on the caller's executor, cancelling it when the deadline passes or the caller is cancelled;
// returns when it has ended. True when the deadline cut it.
Task<bool> RunUntil(Deadline deadline, Task<void> work);

template <typename Result>
Task<void> StoreResult(Task<Result> operation, std::shared_ptr<std::optional<Result>> out) {
  out->emplace(co_await std::move(operation));
}
}  // namespace internal

// The operation's result (a Status or StatusOr), or DeadlineExceeded. A passed deadline refuses to start it.
// The operation has always ended, clean-up included, when this returns.
template <typename Result>
Task<Result> WithDeadline(Deadline deadline, Task<Result> operation) {
  if (deadline.is_never()) co_return co_await std::move(operation);
  if (deadline.passed()) co_return absl::DeadlineExceededError("the deadline had passed");
  auto result = std::make_shared<std::optional<Result>>();
  Task<void> work = internal::StoreResult(std::move(operation), result);
  const bool cut = co_await internal::RunUntil(deadline, std::move(work));
  if (cut) co_return absl::DeadlineExceededError("the deadline passed");
  co_return std::move(**result);
}

}  // namespace fabro
