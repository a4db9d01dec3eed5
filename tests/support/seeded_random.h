// Randomness that a seed repeats.
#pragma once

#include <random>

#include "core/base/mutex.h"
#include "core/base/random.h"

namespace fabro::testing {

// Thread-safe; the order in which threads ask is not the seed's.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t Next() override {
    MutexLock lock(&mutex_);
    return engine_();
  }
  // In [0, below).
  std::size_t Below(std::size_t below) { return static_cast<std::size_t>(Next() % below); }

 private:
  Mutex mutex_;
  std::mt19937_64 engine_ GUARDED_BY(mutex_);
};

}  // namespace fabro::testing
