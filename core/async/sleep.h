// Letting time pass, by an injected source of time.
#pragma once

#include <chrono>

#include "absl/status/status.h"
#include "core/async/task.h"
#include "core/base/clock.h"

namespace fabro {

// A clock that coroutines can wait on. Thread-safe.
class TimeSource : public Clock {
 public:
  // OK when the time has passed, Cancelled when the coroutine was told to stop.
  virtual Task<absl::Status> Sleep(std::chrono::milliseconds duration) = 0;
};

// The machine's time. Lives for the whole program.
TimeSource& SystemTime();

}  // namespace fabro
