// What parallel branches come to, and which of them is the best: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/engine/outcome.h"
#include "core/engine/run_state.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

// Branches of one run that have begun and whose parallel node has not ended, at all depths together.
inline constexpr std::size_t kMaxBranches = 1000;

// A value that is longer is left out of `parallel.results`; it stays in the branch's events.
inline constexpr std::size_t kMaxResultValue = std::size_t{100} * 1024;
// Once the results are longer than this, further branches are told without their values: one commit must hold
// them.
inline constexpr std::size_t kMaxResults = std::size_t{16} << 20;

// "fan-1" for the first branch of the stage "fan".
std::string BranchName(std::string_view stage_id, std::uint32_t index);

// How a branch stands when it ends here: its last stage's status; success when it had none.
OutcomeStatus StatusOf(const Frame& branch);

BranchResult ResultOf(const Frame& branch);  // ... that has ended

// How a parallel stage ends over branches that have all ended: its status and the `parallel.*` keys.
Outcome JoinedOutcome(const workflow::Graph& graph, const workflow::Node& parallel,
                      std::span<const Frame* const> branches);

// The best by status, then score (none is below any), then the id of its first node, then place. Null: no
// results.
const BranchResult* BestOf(const workflow::Graph& graph, std::span<const BranchResult> results);

// How a fan-in ends over the results of the parallel node before it.
Outcome FanInOutcome(const workflow::Graph& graph, const workflow::Node& fan_in,
                     std::span<const BranchResult> results);

}  // namespace fabro::engine
