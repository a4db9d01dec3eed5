#include "core/engine/run_state.h"

#include "core/base/strings.h"

namespace fabro::engine {

std::string StageIdOf(const workflow::Node& node, std::uint32_t visit) {
  return visit <= 1 ? node.id : StrCat(node.id, "-", visit);
}

std::string QuestionIdOf(std::uint32_t number) { return StrCat("q-", number); }

const workflow::Node* FindUnsatisfiedGate(const workflow::Graph& graph, const RunState& state) {
  for (const workflow::Node& node : graph.nodes) {
    if (!node.goal_gate || state.nodes[node.index].outcome == nullptr) continue;
    const OutcomeStatus status = state.nodes[node.index].outcome->status;
    if (status != OutcomeStatus::kSuccess && status != OutcomeStatus::kPartialSuccess) return &node;
  }
  return nullptr;
}

}  // namespace fabro::engine
