// Where time comes from: injected, so that tests own it.
#pragma once

#include <chrono>

#include "core/base/time.h"

namespace fabro {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;                                 // wall clock
  virtual std::chrono::steady_clock::time_point Steady() const = 0;  // never goes back
};

// The machine's clocks. Thread-safe, lives for the whole program.
const Clock& SystemClock();

}  // namespace fabro
