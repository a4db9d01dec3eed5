#include "core/engine/preamble.h"

#include <algorithm>
#include <vector>

#include "core/base/strings.h"
#include "core/engine/artifact.h"
#include "core/engine/context_view.h"
#include "core/engine/json_text.h"

namespace fabro::engine {
namespace {

using workflow::Fidelity;

struct Bounds {
  std::size_t stages = 0;
  std::size_t answer = 0;
  std::size_t value = 0;
  std::size_t all = 0;
};

Bounds BoundsOf(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::kFull:
      return {.stages = 200, .answer = 8000, .value = 2000, .all = 64'000};
    case Fidelity::kCompact:
      return {.stages = 100, .answer = 0, .value = 200, .all = 8000};
    case Fidelity::kSummaryHigh:
      return {.stages = 40, .answer = 800, .value = 300, .all = 12'000};
    case Fidelity::kSummaryMedium:
      return {.stages = 15, .answer = 200, .value = 100, .all = 6000};
    case Fidelity::kSummaryLow:
      return {.stages = 5, .answer = 0, .value = 0, .all = 2400};
    case Fidelity::kTruncate:
      return {.stages = 0, .answer = 0, .value = 0, .all = 2000};
  }
  return {};
}

// As text in one paragraph, cut with a mark.
std::string Cut(std::string_view text, std::size_t limit) {
  const std::string_view cut = TruncateUtf8(text, limit);
  return cut.size() == text.size() ? std::string(text) : StrCat(cut, " [...]");
}

// Whether the stage belongs to the course or to one that it came from.
bool IsBefore(const RunState& state, const Frame& frame, const StageRow& row) {
  for (const Frame* at = &frame;; at = &state.frames.at(at->parent)) {
    if (row.frame == at->number) return true;
    if (at->number == 0) return false;
  }
}

// The ended stages of the course, oldest first, no more than the bound.
std::vector<const StageRow*> StagesBefore(const RunState& state, const Frame& frame, std::size_t limit) {
  std::vector<const StageRow*> rows;
  for (auto row = state.stages.rbegin(); row != state.stages.rend() && rows.size() < limit; ++row) {
    const bool ended = row->state == StageState::kCompleted || row->state == StageState::kFailed;
    if (ended && !row->taken_back && IsBefore(state, frame, *row)) rows.push_back(&*row);
  }
  std::ranges::reverse(rows);
  return rows;
}

std::string StageText(const RunCore& core, const Frame& frame, const StageRow& row, const Bounds& bounds) {
  const workflow::Node& node = core.graph().nodes[row.node];
  const NodeState& visited = core.state.nodes[row.node];
  std::string out = StrCat("- ", StageIdOf(node, row.visit), " (", workflow::ToString(node.kind),
                           "): ", row.state == StageState::kFailed ? "failed" : "done");
  const bool is_last = row.visit == visited.stages && visited.outcome != nullptr;
  if (is_last && visited.outcome->failure && row.state == StageState::kFailed) {
    out += StrCat(": ", Cut(visited.outcome->failure->message, std::max<std::size_t>(bounds.answer, 200)));
  }
  out += "\n";
  const std::string* answer = FindValue(core.state, frame, StrCat("response.", node.id));
  if (is_last && answer != nullptr && bounds.answer > 0) {
    out += StrCat("\n", Cut(ReadableText(*answer), bounds.answer), "\n\n");
  }
  return out;
}

std::string ContextText(const RunCore& core, const Frame& frame, const Bounds& bounds) {
  std::string out;
  for (const auto& [key, value] : ContextView(core.seed, core.state, frame).Written()) {
    if (value.empty() || key.starts_with("response.") || key == "last_response") continue;
    out += StrCat("- ", key, ": ", Cut(ReadableText(value), bounds.value), "\n");
  }
  return out;
}

}  // namespace

Fidelity FidelityOf(const workflow::Graph& graph, const Frame& frame) {
  const workflow::Node& node = graph.nodes[frame.cursor.node];
  if (node.fidelity) return *node.fidelity;
  const std::optional<workflow::EdgeIndex>& edge = frame.cursor.edge;
  if (edge && graph.edges[*edge].fidelity) return *graph.edges[*edge].fidelity;
  return graph.default_fidelity.value_or(Fidelity::kCompact);
}

std::string_view ThreadOf(const workflow::Graph& graph, const Frame& frame) {
  const workflow::Node& node = graph.nodes[frame.cursor.node];
  if (!node.thread_id.empty()) return node.thread_id;
  const std::optional<workflow::EdgeIndex>& edge = frame.cursor.edge;
  if (edge && !graph.edges[*edge].thread_id.empty()) return graph.edges[*edge].thread_id;
  return graph.default_thread;
}

std::string MakePreamble(const RunCore& core, const Frame& frame, Fidelity fidelity) {
  const Bounds bounds = BoundsOf(fidelity);
  std::string out;
  const std::string_view goal = GoalOf(core.seed);
  if (!goal.empty()) out = StrCat("# Goal\n\n", Cut(goal, 1500), "\n");
  const auto add = [&out](std::string_view title, const std::string& text) {
    if (!text.empty()) out += StrCat(out.empty() ? "" : "\n", "# ", title, "\n\n", text);
  };
  std::string stages;
  for (const StageRow* row : StagesBefore(core.state, frame, bounds.stages)) {
    stages += StageText(core, frame, *row, bounds);
  }
  add("Stages so far", stages);
  if (bounds.value > 0) add("Context", ContextText(core, frame, bounds));
  return Cut(out, bounds.all);
}

}  // namespace fabro::engine
