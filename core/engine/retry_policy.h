// How often a stage is tried, and how long the waits between the attempts are.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/engine/outcome.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

struct RetryPlan {
  std::uint32_t max_attempts = 1;
  std::chrono::milliseconds first_delay{5000};
  double factor = 2;
};

inline constexpr std::chrono::milliseconds kMaxRetryDelay = std::chrono::seconds(60);
// A longer wait gives the run's slot back.
inline constexpr std::chrono::milliseconds kMaxDelayInSlot = std::chrono::seconds(5);

// The node's policy, else its max_retries, else the graph's default.
RetryPlan RetryPlanFor(const workflow::Graph& graph, const workflow::Node& node);

// The wait before the next attempt when `retries_used` went before it. `chance`, in [0, 1), spreads it from
// half to one and a half times, so that many runs do not come back together.
std::chrono::milliseconds RetryDelay(const RetryPlan& plan, std::uint32_t retries_used, double chance);

// An outcome of `retry`, and failures of the surroundings; never a plain `fail`.
bool IsRetryable(const Outcome& outcome);

}  // namespace fabro::engine
