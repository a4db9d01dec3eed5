// Randomness as an interface: jitter and ids in tests come from a seed.
#pragma once

#include <cstdint>

namespace fabro {

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t Next() = 0;                                            // 64 uniform bits; thread-safe
  double NextUnit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }  // in [0, 1)
};

// Seeded from the operating system, one generator a thread. Not for secrets.
Random& SystemRandom();

}  // namespace fabro
