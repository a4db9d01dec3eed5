// One suspension, completed from anywhere: the seam between coroutines and everything that is not one.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "core/async/task.h"

namespace fabro {

// One-shot and thread-safe. One coroutine awaits Wait(); any thread calls Complete(), before or after. Share
// it by shared_ptr between the two sides.
class Waiter {
 public:
  Waiter();
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Resumes on the awaiting coroutine's executor with the status given to Complete(), or with Cancelled when
  // the coroutine is cancelled first (then a later Complete() answers false).
  Task<absl::Status> Wait();

  // Like Wait(), but does not react to cancellation: for what must be known to the end.
  Task<absl::Status> WaitUncancelled();

  // Like WaitUncancelled(), but when the coroutine is cancelled meanwhile, or was before, `on_cancel` is
  // called once, on its executor; it should bring Complete() about. For operations that must have ended
  // before their memory goes.
  Task<absl::Status> WaitOrAbort(std::function<void()> on_cancel);

  // False when it was completed or cancelled before.
  bool Complete(absl::Status status);

  // The same, but a coroutine on a resuming strand (executor.h) goes on inside this call, which saves waking
  // another thread. Only where that is harmless: under no lock, with nothing left to do after it.
  bool CompleteHere(absl::Status status);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fabro
