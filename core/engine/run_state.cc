#include "core/engine/run_state.h"

#include "core/base/strings.h"

namespace fabro::engine {

std::string StageIdOf(const workflow::Node& node, std::uint32_t visit) {
  return visit <= 1 ? node.id : StrCat(node.id, "-", visit);
}

std::string StageIdOf(const workflow::Graph& graph, const StageRow& row) {
  return StageIdOf(graph.nodes[row.node], row.visit);
}

std::string QuestionIdOf(std::uint32_t number) { return StrCat("q-", number); }

const LastStage& LastOf(const RunState& state, const Frame& frame) {
  const Frame* at = &frame;
  while (!at->last.node && at->number != 0) at = &state.frames.at(at->parent);
  return at->last;
}

const std::string* FindValue(const RunState& state, const Frame& frame, std::string_view key) {
  for (const Frame* at = &frame;; at = &state.frames.at(at->parent)) {
    const auto found = at->context.find(key);
    if (found != at->context.end()) return found->second.empty() ? nullptr : &found->second;
    if (at->number == 0) return nullptr;
  }
}

const workflow::Node* FindUnsatisfiedGate(const workflow::Graph& graph, const RunState& state) {
  for (const workflow::Node& node : graph.nodes) {
    if (!node.goal_gate || state.nodes[node.index].outcome == nullptr) continue;
    const OutcomeStatus status = state.nodes[node.index].outcome->status;
    if (status != OutcomeStatus::kSuccess && status != OutcomeStatus::kPartialSuccess) return &node;
  }
  return nullptr;
}

}  // namespace fabro::engine
