// Which edge a run takes after a stage: pure functions over the graph.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/random.h"
#include "core/engine/outcome.h"
#include "core/workflow/condition.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

// The words of fabro.v1.EdgeReason.
enum class EdgeReason : std::uint8_t {
  kCondition,
  kPreferredLabel,
  kSuggestedNext,
  kUnconditional,
  kRetryTarget,
  kJump,
};

struct RouteRequest {
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::string_view preferred_label;  // empty: none
  std::span<const std::string> suggested_next_ids;
};

struct Route {
  const workflow::Edge* edge = nullptr;
  EdgeReason reason = EdgeReason::kUnconditional;
};

// The first tier that offers an edge decides: true conditions, the preferred label, the suggested targets,
// edges without a condition. Within a tier the greatest weight wins, then the smaller target id; or chance in
// proportion to weight, when the node says so. Nothing when no tier offers one.
std::optional<Route> ChooseEdge(const workflow::Graph& graph, const workflow::Node& node,
                                const RouteRequest& request, const workflow::Lookup& lookup, Random& random);

// Where a failed stage or an unsatisfied goal gate sends the run: the first that is set of the node's
// targets, then of the graph's. Null: nowhere.
const workflow::Node* RetryTargetOf(const workflow::Graph& graph, const workflow::Node& node);

// ... a parallel branch: the graph's targets are the run's own.
const workflow::Node* BranchRetryTargetOf(const workflow::Graph& graph, const workflow::Node& node);

}  // namespace fabro::engine
