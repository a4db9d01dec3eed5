#include "core/engine/fold.h"

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/retry_policy.h"
#include "core/engine/signature.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

using internal::v1::StateDelta;
using std::chrono::milliseconds;
using workflow::Node;
using workflow::NodeKind;

absl::Status Misfit(std::string_view message) {
  return Error(absl::StatusCode::kDataLoss, Reason::kInternal, "", StrCat("the run's log: ", message));
}

Timestamp TimeOf(const v1::Event& event) {
  return {event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000};
}

class Folder {
 public:
  Folder(const workflow::Graph& graph, const v1::Event& event, const StateDelta& delta, RunState& state)
      : graph_(graph),
        event_(event),
        delta_(delta),
        state_(state),
        cursor_(state.cursor),
        at_(TimeOf(event)) {}

  absl::Status Apply() {
    if (event_.id() != state_.head + 1) {
      return Misfit(StrCat("event ", event_.id(), " follows on ", state_.head));
    }
    if (IsTerminal(state_.status)) return Misfit(StrCat("event ", event_.id(), " follows the last one"));
    state_.head = event_.id();
    state_.last_event_at = at_;
    switch (event_.payload_case()) {
      case v1::Event::kWorkflowRunStarted:
        return RunStarted();
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
      default:
        return absl::OkStatus();  // tells clients something, and the state nothing
    }
  }

 private:
  absl::Status Move(RunStatus to) {
    if (!CanMove(state_.status, to)) {
      return Misfit(StrCat("event ", event_.id(), " moves the run from ", ToString(state_.status), " to ",
                           ToString(to)));
    }
    state_.status = to;
    return absl::OkStatus();
  }

  absl::Status End(RunStatus status) {
    FABRO_RETURN_IF_ERROR(Move(status));
    state_.finished_at = at_;
    cursor_.phase = Phase::kDone;
    cursor_.wake_at.reset();
    return absl::OkStatus();
  }

  absl::Status RunStarted() {
    if (state_.started_at) return absl::OkStatus();  // again, after a loop restart
    FABRO_RETURN_IF_ERROR(Move(RunStatus::kStarting));
    FABRO_RETURN_IF_ERROR(Move(RunStatus::kRunning));
    state_.started_at = at_;
    cursor_.phase = Phase::kReady;
    cursor_.node = graph_.start;
    return absl::OkStatus();
  }

  absl::Status Completed(const v1::WorkflowRunCompleted& completed) {
    state_.outcome = FromProto(completed.status());
    return End(RunStatus::kCompleted);
  }

  absl::Status Failed(const v1::WorkflowRunFailed& failed) {
    state_.outcome = OutcomeStatus::kFail;
    state_.error = failed.error();
    return End(RunStatus::kFailed);
  }

  // The node in hand must be the one the event is about.
  absl::Status CheckNode(const std::string& id) const {
    if (node().id == id) return absl::OkStatus();
    return Misfit(StrCat("event ", event_.id(), " is about node ", id, ", but the run is at ", node().id));
  }

  absl::Status Untimely() const { return Misfit(StrCat("event ", event_.id(), " comes at the wrong time")); }

  absl::StatusOr<workflow::NodeIndex> Find(const std::string& id) const {
    const Node* node = graph_.FindNode(id);
    if (node == nullptr) return Misfit(StrCat("event ", event_.id(), " names the unknown node ", id));
    return node->index;
  }

  absl::Status Started(const v1::StageStarted& started) {
    FABRO_RETURN_IF_ERROR(CheckNode(started.node_id()));
    NodeState& visited = state_.nodes[cursor_.node];
    if (cursor_.phase == Phase::kReady) {
      ++visited.visits;
      visited.retries = 0;
      state_.stages.push_back({.node = cursor_.node, .visit = visited.visits, .started_at = at_});
    } else if (cursor_.phase == Phase::kRetryWait) {
      visited.retries = ++cursor_.retries;
    } else if (cursor_.phase == Phase::kExecuting) {
      ++cursor_.interrupted;
    } else {
      return Untimely();
    }
    state_.stages.back().state = StageState::kRunning;
    cursor_.attempt = started.attempt();
    cursor_.execution = event_.id();
    cursor_.attempt_at = at_;
    cursor_.wake_at.reset();
    cursor_.phase = Phase::kExecuting;
    if (node().kind == NodeKind::kWait) {
      cursor_.phase = Phase::kTimer;
      cursor_.wake_at = at_ + node().duration;
    }
    return absl::OkStatus();
  }

  absl::Status Asked() {
    if (cursor_.phase != Phase::kExecuting || node().kind != NodeKind::kHuman) return Untimely();
    cursor_.phase = Phase::kAsking;
    cursor_.asked_at = at_;
    if (node().timeout) cursor_.wake_at = at_ + *node().timeout;
    ++state_.questions_asked;
    return absl::OkStatus();
  }

  absl::Status CheckInHand() const {
    if (HasStageInHand(state_) && !state_.stages.empty()) return absl::OkStatus();
    return Untimely();
  }

  absl::Status Completed(const v1::StageCompleted& completed) {
    FABRO_RETURN_IF_ERROR(CheckNode(completed.node_id()));
    FABRO_RETURN_IF_ERROR(CheckInHand());
    NodeOutcome outcome{.status = FromProto(completed.status()),
                        .preferred_label = completed.preferred_label(),
                        .failure = std::nullopt,
                        .notes = completed.notes(),
                        .duration = at_ - state_.stages.back().started_at};
    MergeContext();
    if (node().kind != NodeKind::kConditional) {
      state_.last = {.node = cursor_.node,
                     .status = outcome.status,
                     .preferred_label = outcome.preferred_label,
                     .failure = std::nullopt,
                     .failure_signature = ""};
    }
    EndStage(StageState::kCompleted, std::move(outcome));
    return absl::OkStatus();
  }

  absl::Status Failed(const v1::StageFailed& failed) {
    FABRO_RETURN_IF_ERROR(CheckNode(failed.node_id()));
    FABRO_RETURN_IF_ERROR(CheckInHand());
    if (failed.will_retry()) return absl::OkStatus();  // StageRetrying follows
    const FailureClass failure_class = FromProto(failed.failure().failure_class());
    Failure failure{.message = std::string(TruncateUtf8(failed.failure().message(), kMaxKeptMessage)),
                    .failure_class = failure_class};
    NodeOutcome outcome{.status = OutcomeStatus::kFail,
                        .preferred_label = delta_.preferred_label(),
                        .failure = failure,
                        .notes = delta_.notes(),
                        .duration = at_ - state_.stages.back().started_at};
    MergeContext();
    state_.last = {.node = cursor_.node,
                   .status = OutcomeStatus::kFail,
                   .preferred_label = delta_.preferred_label(),
                   .failure = std::move(failure),
                   .failure_signature = failed.failure().failure_signature()};
    if (CountsInBreaker(failure_class)) Count(state_.loop_failures);
    const bool cancelled = failure_class == FailureClass::kCanceled;
    EndStage(cancelled ? StageState::kCancelled : StageState::kFailed, std::move(outcome));
    return absl::OkStatus();
  }

  absl::Status Retrying(const v1::StageRetrying& retrying) {
    FABRO_RETURN_IF_ERROR(CheckNode(retrying.node_id()));
    if (cursor_.phase != Phase::kExecuting && cursor_.phase != Phase::kAsking) return Untimely();
    cursor_.phase = Phase::kRetryWait;
    cursor_.retry_delay = milliseconds(retrying.delay_ms());
    cursor_.wake_at = at_ + cursor_.retry_delay;
    state_.stages.back().state = StageState::kPending;
    return absl::OkStatus();
  }

  absl::Status Selected(const v1::EdgeSelected& selected) {
    if (cursor_.phase != Phase::kFinishing && cursor_.phase != Phase::kReady) return Untimely();
    FABRO_ASSIGN_OR_RETURN(cursor_.node, Find(selected.to_node()));
    cursor_.phase = Phase::kReady;
    cursor_.attempt = 0;
    cursor_.interrupted = 0;
    cursor_.retries = 0;
    if (state_.checkpoint) state_.checkpoint->next = cursor_.node;
    return absl::OkStatus();
  }

  absl::Status Restarted() {
    if (!state_.last.failure_signature.empty()) Count(state_.restart_failures);
    state_.context.clear();
    state_.response_key.clear();
    state_.last = {};
    return absl::OkStatus();
  }

  absl::Status Marked(const v1::CheckpointCompleted& completed) {
    FABRO_ASSIGN_OR_RETURN(const workflow::NodeIndex node, Find(completed.node_id()));
    state_.checkpoint = {.at = at_, .node = node, .next = std::nullopt};
    if (cursor_.phase == Phase::kReady) state_.checkpoint->next = cursor_.node;
    return absl::OkStatus();
  }

  void MergeContext() {
    for (const std::string& key : delta_.context_removed()) state_.context.erase(key);
    for (const internal::v1::ContextEntry& entry : delta_.context_updates()) {
      state_.context.insert_or_assign(entry.key(), entry.value());
      const bool is_response = entry.key() == "command.output" || entry.key().starts_with("response.");
      if (is_response) state_.response_key = entry.key();
    }
  }

  void Count(SignatureCounts& counts) const {
    const std::string& signature = state_.last.failure_signature;
    const auto found = counts.find(signature);
    if (found != counts.end()) {
      ++found->second;
    } else if (counts.size() < kMaxSignatures) {
      counts.emplace(signature, 1);
    }
  }

  void EndStage(StageState how, NodeOutcome outcome) {
    state_.stages.back().state = how;
    state_.stages.back().duration = outcome.duration;
    ++state_.stages_ended;
    NodeState& visited = state_.nodes[cursor_.node];
    if (visited.outcome == nullptr) visited.outcome = std::make_unique<NodeOutcome>();
    *visited.outcome = std::move(outcome);
    cursor_.phase = Phase::kFinishing;
    cursor_.wake_at.reset();
  }

  const Node& node() const { return graph_.nodes[cursor_.node]; }

  const workflow::Graph& graph_;
  const v1::Event& event_;
  const StateDelta& delta_;
  RunState& state_;
  Cursor& cursor_;
  const Timestamp at_;
};

}  // namespace

absl::Status Fold(const workflow::Graph& graph, const v1::Event& event, const StateDelta& delta,
                  RunState& state) {
  return Folder(graph, event, delta, state).Apply();
}

}  // namespace fabro::engine
