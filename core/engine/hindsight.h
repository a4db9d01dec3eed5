// A run in hindsight, by rule, from its events: counted as they come, so that its end need not read them
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "core/base/run_status.h"
#include "core/base/smoothness.h"

namespace fabro::v1 {
class Event;
enum FrictionKind : int;
}  // namespace fabro::v1

namespace fabro::engine {

// Of each run the first so many files, by the order in which they were touched, are kept by name.
inline constexpr std::size_t kMaxFilesTouched = 1000;

// Never taken back, not even by a rewind; a fork begins without its origin's.
struct Hindsight {
  std::uint32_t friction_points = 0;
  std::uint32_t retries = 0;
  std::set<std::string> files_touched;
};

// What the event tells that went against the grain; nothing: it tells no such thing.
std::optional<v1::FrictionKind> FrictionOf(const v1::Event& event);

void Recall(const v1::Event& event, Hindsight& hindsight);

// What the rating depends on.
struct RetroFacts {
  RunStatus status = RunStatus::kCompleted;  // terminal
  bool is_partial = false;                   // it ended well, but not wholly
  std::uint32_t friction_points = 0;
};

// Failed: it did not come to a good end. Otherwise by friction points: none, effortless; one, smooth; up to
// four, bumpy; more, struggled. What ended well only in part is bumpy at best.
Smoothness SmoothnessOf(const RetroFacts& facts);

}  // namespace fabro::engine
