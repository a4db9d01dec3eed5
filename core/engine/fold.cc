#include "core/engine/fold.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/folder.h"
#include "core/engine/snapshot.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

using internal::v1::StateDelta;

Folder::Folder(const workflow::Graph& graph, const v1::Event& event, const StateDelta& delta, RunState& state)
    : graph_(graph),
      event_(event),
      delta_(delta),
      state_(state),
      at_{event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000} {}

absl::Status Folder::Misfit(std::string_view message) const {
  return Error(absl::StatusCode::kDataLoss, Reason::kInternal, "",
               StrCat("the run's log: event ", event_.id(), " ", message));
}

absl::Status Folder::Apply() {
  if (event_.id() != state_.head + 1) return Misfit(StrCat("follows on ", state_.head));
  if (IsTerminal(state_.status)) return Misfit("follows the last one");
  const auto found = state_.frames.find(delta_.frame());
  if (found == state_.frames.end()) return Misfit(StrCat("belongs to the unknown branch ", delta_.frame()));
  frame_ = &found->second;
  state_.head = event_.id();
  state_.last_event_at = at_;
  Recall(event_, state_.hindsight);
  return Dispatch();
}

absl::Status Folder::Dispatch() {
  switch (event_.payload_case()) {
    case v1::Event::kWorkflowRunStarted:
      return RunStarted(event_.workflow_run_started());
    case v1::Event::kWorkflowRunCompleted:
      return Completed(event_.workflow_run_completed());
    case v1::Event::kWorkflowRunFailed:
      return Failed(event_.workflow_run_failed());
    case v1::Event::kWorkflowRunCancelled:
      return End(RunStatus::kCancelled);
    case v1::Event::kWorkflowRunPaused:
      return Move(RunStatus::kPaused);
    case v1::Event::kWorkflowRunUnpaused:
      return Move(RunStatus::kRunning);
    case v1::Event::kWorkflowRunRewound:
      return Rewound();
    case v1::Event::kRunNotice:
      return Noticed();
    case v1::Event::kSubgraphStarted:
      return ChildBegan(event_.subgraph_started());
    case v1::Event::kSubgraphCompleted:
      return ChildEnded();
    case v1::Event::kStageStarted:
      return Started(event_.stage_started());
    case v1::Event::kStageCompleted:
      return Completed(event_.stage_completed());
    case v1::Event::kStageFailed:
      return Failed(event_.stage_failed());
    case v1::Event::kStageRetrying:
      return Retrying(event_.stage_retrying());
    case v1::Event::kEdgeSelected:
      return Selected(event_.edge_selected());
    case v1::Event::kLoopRestart:
      return Restarted();
    case v1::Event::kCheckpointCompleted:
      return Marked(event_.checkpoint_completed());
    case v1::Event::kInterviewStarted:
      return Asked();
    case v1::Event::kParallelStarted:
      return ForkStarted();
    case v1::Event::kParallelBranchStarted:
      return BranchStarted(event_.parallel_branch_started());
    case v1::Event::kParallelBranchCompleted:
      return BranchCompleted(event_.parallel_branch_completed());
    case v1::Event::kParallelCompleted:
      return ForkCompleted();
    default:
      return absl::OkStatus();  // tells clients something, and the state nothing
  }
}

absl::Status Folder::CheckNode(const std::string& id) const {
  if (node().id == id) return absl::OkStatus();
  return Misfit(StrCat("is about node ", id, ", but the run is at ", node().id));
}

absl::StatusOr<workflow::NodeIndex> Folder::Find(const std::string& id) const {
  const workflow::Node* node = graph_.FindNode(id);
  if (node == nullptr) return Misfit(StrCat("names the unknown node ", id));
  return node->index;
}

absl::Status Folder::Move(RunStatus to) {
  if (!CanMove(state_.status, to)) {
    return Misfit(StrCat("moves the run from ", ToString(state_.status), " to ", ToString(to)));
  }
  state_.status = to;
  return absl::OkStatus();
}

absl::Status Folder::End(RunStatus status) {
  FABRO_RETURN_IF_ERROR(Move(status));
  state_.finished_at = at_;
  state_.frames.erase(state_.frames.upper_bound(0), state_.frames.end());
  state_.preparing = false;
  state_.own().cursor.phase = Phase::kDone;
  state_.own().cursor.wake_at.reset();
  return absl::OkStatus();
}

absl::Status Folder::RunStarted(const v1::WorkflowRunStarted& started) {
  if (state_.started_at) return absl::OkStatus();  // again, after a loop restart
  FABRO_RETURN_IF_ERROR(Move(RunStatus::kStarting));
  FABRO_RETURN_IF_ERROR(Move(RunStatus::kRunning));
  state_.started_at = at_;
  state_.preparing = delta_.preparing();
  state_.traceparent = started.traceparent();
  if (started.has_forked_from_run_id()) return TakeUp(started.forked_from_run_id());
  cursor().phase = Phase::kReady;
  cursor().node = graph_.start;
  return absl::OkStatus();
}

absl::Status Folder::Noticed() {
  if (!delta_.has_prepared()) return absl::OkStatus();
  if (!state_.preparing) return Untimely();
  state_.preparing = false;
  state_.prepared = Prepared{.work_dir = delta_.prepared().work_dir(),
                             .repository = delta_.prepared().repository(),
                             .base_sha = delta_.prepared().base_sha(),
                             .failure = std::nullopt};
  return absl::OkStatus();
}

absl::Status Folder::Rewound() {
  if (state_.status != RunStatus::kRunning && state_.status != RunStatus::kPaused) return Untimely();
  return TakeUp(event_.run_id());
}

absl::Status Folder::TakeUp(const std::string& run_id) {
  const std::optional<RunId> run = RunId::Parse(run_id);
  if (!run) return Misfit("names no run");
  FABRO_ASSIGN_OR_RETURN(RunState then, DecodeSnapshot(*run, graph_, delta_.state()));
  const Phase phase = then.own().cursor.phase;
  if (then.frames.size() != 1 || (phase != Phase::kReady && phase != Phase::kFinishing)) {
    return Misfit("goes on from the middle of a stage");
  }
  const FrameNumber next_frame = std::max(state_.next_frame, then.next_frame);
  for (std::size_t i = 0; i < then.nodes.size(); ++i) {
    then.nodes[i].stages = std::max(then.nodes[i].stages, state_.nodes[i].stages);
  }
  for (std::size_t i = 0; i < state_.stages.size(); ++i) {
    state_.stages[i].taken_back = i >= then.stages.size() || then.stages[i].taken_back;
  }
  state_.frames = std::move(then.frames);
  state_.next_frame = next_frame;
  state_.nodes = std::move(then.nodes);
  state_.loop_failures = std::move(then.loop_failures);
  state_.restart_failures = std::move(then.restart_failures);
  state_.checkpoint = std::move(then.checkpoint);
  if (state_.checkpoint) state_.own().restore_sha = state_.checkpoint->git_commit_sha;
  frame_ = &state_.own();
  return absl::OkStatus();
}

absl::Status Folder::Completed(const v1::WorkflowRunCompleted& completed) {
  state_.outcome = FromProto(completed.status());
  return End(RunStatus::kCompleted);
}

absl::Status Folder::Failed(const v1::WorkflowRunFailed& failed) {
  state_.outcome = OutcomeStatus::kFail;
  state_.error = failed.error();
  return End(RunStatus::kFailed);
}

absl::Status Folder::Selected(const v1::EdgeSelected& selected) {
  if (cursor().phase != Phase::kFinishing && cursor().phase != Phase::kReady) return Untimely();
  FABRO_ASSIGN_OR_RETURN(cursor().node, Find(selected.to_node()));
  if (delta_.edge() > graph_.edges.size()) return Misfit("takes an unknown edge");
  cursor().edge = delta_.edge() == 0 ? std::nullopt : std::optional(delta_.edge() - 1);
  cursor().phase = Phase::kReady;
  cursor().attempt = 0;
  cursor().interrupted = 0;
  cursor().retries = 0;
  if (state_.checkpoint && frame().number == 0) state_.checkpoint->next = cursor().node;
  return absl::OkStatus();
}

absl::Status Folder::Restarted() {
  if (!frame().last.failure_signature.empty()) Count(state_.restart_failures);
  frame().context.clear();
  frame().response_key.clear();
  frame().results.clear();
  frame().last = {};
  return absl::OkStatus();
}

absl::Status Folder::Marked(const v1::CheckpointCompleted& completed) {
  FABRO_ASSIGN_OR_RETURN(const workflow::NodeIndex node, Find(completed.node_id()));
  state_.checkpoint = {
      .at = at_, .node = node, .next = std::nullopt, .git_commit_sha = completed.git_commit_sha()};
  frame().files_sha = completed.git_commit_sha();
  if (cursor().phase == Phase::kReady) state_.checkpoint->next = cursor().node;
  return absl::OkStatus();
}

void Folder::Count(SignatureCounts& counts) const {
  const std::string& signature = frame().last.failure_signature;
  const auto found = counts.find(signature);
  if (found != counts.end()) {
    ++found->second;
  } else if (counts.size() < kMaxSignatures) {
    counts.emplace(signature, 1);
  }
}

absl::Status Fold(const workflow::Graph& graph, const v1::Event& event, const StateDelta& delta,
                  RunState& state) {
  return Folder(graph, event, delta, state).Apply();
}

}  // namespace fabro::engine
