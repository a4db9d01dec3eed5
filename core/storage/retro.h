// Looks back at runs that have ended, as lists show them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/smoothness.h"
#include "core/base/time.h"

namespace fabro::storage {

struct RetroStats {
  Timestamp finished_at;
  Smoothness smoothness = Smoothness::kEffortless;
  std::chrono::milliseconds duration{0};
  std::optional<std::int64_t> cost_nanos;  // billionths of a US dollar
  std::uint32_t retries = 0;
  std::uint32_t friction_points = 0;
  std::uint32_t stages_completed = 0;
  std::uint32_t stages_failed = 0;
  std::vector<std::string> files_touched;
  bool operator==(const RetroStats&) const = default;
};

struct Retro {
  RunId run;
  std::string title;
  std::string workflow_slug;
  RetroStats stats;
};

// Which of them. Nothing means any.
struct RetroFilter {
  std::string workflow_slug;
  std::optional<Smoothness> smoothness;
};

struct RetroPage {
  std::vector<Retro> retros;
  bool has_more = false;
};

}  // namespace fabro::storage
