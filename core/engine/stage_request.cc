#include "core/engine/stage_request.h"

#include "core/base/strings.h"
#include "core/engine/branches.h"
#include "core/engine/context_view.h"
#include "core/engine/preamble.h"

namespace fabro::engine {
namespace {

constexpr std::string_view kGoal = "$goal";
constexpr std::chrono::milliseconds kDefaultCommandTimeout = std::chrono::seconds(600);

bool IsIdentifierCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

std::vector<std::string> OuterBranches(const RunCore& core, const Frame& frame) {
  std::vector<std::string> outer;
  if (frame.number == 0) return outer;
  for (FrameNumber at = frame.parent; at != 0; at = core.state.frames.at(at).parent) {
    outer.push_back(core.state.frames.at(at).name);
  }
  return outer;
}

}  // namespace

std::string ReplaceGoal(std::string_view text, std::string_view goal) {
  std::string out;
  while (true) {
    const std::size_t at = text.find(kGoal);
    if (at == std::string_view::npos) return out.append(text);
    const std::size_t end = at + kGoal.size();
    const bool is_longer = end < text.size() && IsIdentifierCharacter(text[end]);
    out.append(text.substr(0, at)).append(is_longer ? kGoal : goal);
    text.remove_prefix(end);
  }
}

std::string AdoptedBranch(const RunCore& core, const Frame& frame) {
  if (!core.state.prepared || core.state.prepared->repository.empty()) return "";
  const BranchResult* best = BestOf(core.graph(), frame.results);
  return best == nullptr || best->status == OutcomeStatus::kFail ? "" : best->branch;
}

ExecuteStage MakeStageRequest(const RunCore& core, const Frame& frame, std::uint32_t max_attempts) {
  const workflow::Node& node = core.NodeOf(frame);
  const Cursor& cursor = frame.cursor;
  const StageRow& row = core.state.stages[cursor.stage];
  const bool is_command = node.kind == workflow::NodeKind::kCommand;
  ExecuteStage request{
      .execution = ExecutionId(cursor.execution),
      .node = &node,
      .stage_id = StageIdOf(node, row.visit),
      .visit = row.visit,
      .attempt = cursor.attempt,
      .max_attempts = max_attempts,
      .stages_ended = static_cast<std::uint32_t>(core.state.stages_ended),
      .branch = frame.name,
      .outer_branches = OuterBranches(core, frame),
      .adopt_branch = node.kind == workflow::NodeKind::kFanIn ? AdoptedBranch(core, frame) : "",
      .restore_sha = frame.restore_sha,
      .traceparent = core.state.traceparent,
      .prepared = core.state.prepared.value_or(Prepared{}),
      .text = ReplaceGoal(is_command ? node.script : node.prompt, GoalOf(core.seed)),
      .timeout = node.timeout,
      .environment = {}};
  if (node.kind == workflow::NodeKind::kAgent || node.kind == workflow::NodeKind::kPrompt) {
    request.fidelity = FidelityOf(core.graph(), frame);
    request.thread_id = ThreadOf(core.graph(), frame);
    request.preamble = MakePreamble(core, frame, request.fidelity);
  }
  if (is_command && !request.timeout) request.timeout = kDefaultCommandTimeout;
  request.environment = {{"FABRO_RUN_ID", core.id_text},
                         {"FABRO_STAGE_ID", request.stage_id},
                         {"FABRO_ATTEMPT", std::to_string(request.attempt)}};
  if (request.prepared.work_dir.empty()) request.prepared.work_dir = core.seed.work_dir;
  if (!request.traceparent.empty()) request.environment.emplace_back("TRACEPARENT", request.traceparent);
  return request;
}

}  // namespace fabro::engine
