// How a run that has ended went.
#pragma once

#include <cstdint>

namespace fabro {

// The numbers are stored, and are those of the API (v1::SmoothnessRating).
enum class Smoothness : std::uint8_t {
  kEffortless = 1,
  kSmooth = 2,
  kBumpy = 3,
  kStruggled = 4,
  kFailed = 5,
};

}  // namespace fabro
