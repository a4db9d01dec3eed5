#include "core/engine/views.h"

#include <algorithm>
#include <array>

#include "core/base/strings.h"
#include "core/engine/artifact.h"
#include "core/engine/context_view.h"
#include "core/engine/json_text.h"
#include "core/engine/run_core.h"

namespace fabro::engine {
namespace {

constexpr std::size_t kMaxQuestionContext = 4000;  // characters

void AppendField(std::string& out, std::string_view key, std::string_view json) {
  if (out.back() != '{') out += ',';
  AppendJsonString(out, key);
  out += ':';
  out += json;
}

std::string OutcomeJson(const NodeOutcome& outcome) {
  std::string out = "{";
  AppendField(out, "status", JsonString(ToString(outcome.status)));
  if (!outcome.preferred_label.empty())
    AppendField(out, "preferred_label", JsonString(outcome.preferred_label));
  if (!outcome.notes.empty()) AppendField(out, "notes", JsonString(outcome.notes));
  if (outcome.failure) {
    std::string failure = "{";
    AppendField(failure, "message", JsonString(outcome.failure->message));
    AppendField(failure, "failure_class", JsonString(ToString(outcome.failure->failure_class)));
    AppendField(out, "failure", failure + "}");
  }
  AppendField(out, "duration_ms", std::to_string(outcome.duration.count()));
  return out + "}";
}

// The last response before the course came here, its own or one of the course it branched off.
std::string LastResponse(const RunState& state, const Frame& frame) {
  const Frame* at = &frame;
  while (at->response_key.empty() && at->number != 0) at = &state.frames.at(at->parent);
  const std::string* found = FindValue(state, *at, at->response_key);
  if (found == nullptr) return "";
  const std::string text = ReadableText(*found);
  return std::string(TruncateUtf8(text, kMaxQuestionContext));
}

QuestionView QuestionOf(const RunCore& core, const Frame& frame) {
  const workflow::Node& node = core.NodeOf(frame);
  return {.id = QuestionIdOf(frame.cursor.question),
          .text = node.label,
          .type = workflow::QuestionTypeOf(core.graph(), node),
          .options = workflow::HumanOptions(core.graph(), node),
          .allow_freeform = workflow::AllowsFreeform(core.graph(), node),
          .stage_id = StageIdOf(core.graph(), core.state.stages[frame.cursor.stage]),
          .context = LastResponse(core.state, frame),
          .asked_at = frame.cursor.asked_at,
          .expires_at = frame.cursor.wake_at,
          .default_choice = node.human_default_choice};
}

}  // namespace

std::string_view ToString(StageState state) {
  constexpr std::array<std::string_view, 5> kWords{"running", "pending", "completed", "failed", "cancelled"};
  return kWords[static_cast<std::size_t>(state)];
}

std::vector<QuestionView> QuestionsOf(const RunCore& core) {
  std::vector<const Frame*> asking;
  for (const auto& [number, frame] : core.state.frames) {
    if (frame.cursor.phase == Phase::kAsking) asking.push_back(&frame);
  }
  std::ranges::sort(asking, {}, [](const Frame* frame) { return frame->cursor.question; });
  std::vector<QuestionView> questions;
  for (const Frame* frame : asking) questions.push_back(QuestionOf(core, *frame));
  return questions;
}

std::vector<StageView> StagesOf(const RunCore& core) {
  std::vector<StageView> stages;
  stages.reserve(core.state.stages.size());
  for (const StageRow& row : core.state.stages) {
    const workflow::Node& node = core.graph().nodes[row.node];
    StageView& stage = stages.emplace_back(StageView{.id = StageIdOf(node, row.visit),
                                                     .name = node.label,
                                                     .node_id = node.id,
                                                     .kind = node.kind,
                                                     .visit = row.visit,
                                                     .state = row.state,
                                                     .started_at = row.started_at,
                                                     .duration = std::nullopt});
    if (row.state != StageState::kRunning && row.state != StageState::kPending) stage.duration = row.duration;
  }
  return stages;
}

std::optional<CheckpointView> CheckpointOf(const RunCore& core) {
  const RunState& state = core.state;
  if (!state.checkpoint) return std::nullopt;
  const workflow::Graph& graph = core.graph();
  CheckpointView view{.timestamp = state.checkpoint->at,
                      .current_node = graph.nodes[state.checkpoint->node].id,
                      .completed_nodes = {},
                      .node_retries = {},
                      .context_values = ContextView(core.seed, state, state.own()).Json(),
                      .node_outcomes = "{",
                      .next_node_id = std::nullopt,
                      .git_commit_sha = std::nullopt,
                      .loop_failure_signatures = {},
                      .restart_failure_signatures = {},
                      .node_visits = {}};
  if (!state.checkpoint->git_commit_sha.empty()) view.git_commit_sha = state.checkpoint->git_commit_sha;
  if (state.checkpoint->next) view.next_node_id = graph.nodes[*state.checkpoint->next].id;
  for (const StageRow& row : state.stages) {
    const bool ended = row.state == StageState::kCompleted || row.state == StageState::kFailed;
    if (ended && !row.taken_back) view.completed_nodes.push_back(graph.nodes[row.node].id);
  }
  for (const workflow::Node& node : graph.nodes) {
    const NodeState& visited = state.nodes[node.index];
    if (visited.visits == 0) continue;
    view.node_visits[node.id] = visited.visits;
    if (visited.retries > 0) view.node_retries[node.id] = visited.retries;
    if (visited.outcome != nullptr) AppendField(view.node_outcomes, node.id, OutcomeJson(*visited.outcome));
  }
  view.node_outcomes += '}';
  view.loop_failure_signatures = {state.loop_failures.begin(), state.loop_failures.end()};
  view.restart_failure_signatures = {state.restart_failures.begin(), state.restart_failures.end()};
  return view;
}

HindsightView HindsightOf(const RunState& state) {
  const Hindsight& seen = state.hindsight;
  HindsightView view{
      .smoothness = SmoothnessOf({.status = state.status,
                                  .is_partial = state.outcome == OutcomeStatus::kPartialSuccess,
                                  .friction_points = seen.friction_points}),
      .finished_at = state.finished_at.value_or(state.last_event_at),
      .cost = state.usage.sum.cost,
      .retries = seen.retries,
      .friction_points = seen.friction_points,
      .files_touched = {seen.files_touched.begin(), seen.files_touched.end()},
  };
  if (state.started_at && state.finished_at) view.duration = *state.finished_at - *state.started_at;
  for (const StageRow& row : state.stages) {
    if (row.state == StageState::kCompleted) ++view.stages_completed;
    if (row.state == StageState::kFailed) ++view.stages_failed;
  }
  return view;
}

}  // namespace fabro::engine
