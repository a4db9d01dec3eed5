// What each event means to a run's state. The only code that changes it, live and in replay alike.
#pragma once

#include "absl/status/status.h"
#include "core/engine/run_state.h"
#include "core/workflow/graph.h"

namespace fabro::v1 {
class Event;
}
namespace fabro::internal::v1 {
class StateDelta;
}

namespace fabro::engine {

// DataLoss when the event cannot follow on the state: an id out of order, a node that the graph has not, a
// move that the run's status forbids. The state is then worthless.
absl::Status Fold(const workflow::Graph& graph, const v1::Event& event, const internal::v1::StateDelta& delta,
                  RunState& state);

}  // namespace fabro::engine
