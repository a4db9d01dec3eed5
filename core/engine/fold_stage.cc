// What the events of a stage mean to the state.
#include <utility>

#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/folder.h"
#include "core/engine/signature.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

using std::chrono::milliseconds;
using workflow::NodeKind;

namespace {

void AddUsage(const v1::StageUsage& used, UsageTotal& total) {
  ++total.stages;
  total.sum.input_tokens += used.input_tokens();
  total.sum.output_tokens += used.output_tokens();
  total.sum.cache_read_tokens += used.cache_read_tokens();
  total.sum.cache_write_tokens += used.cache_write_tokens();
  total.sum.reasoning_tokens += used.reasoning_tokens();
  if (used.has_cost()) total.sum.cost = total.sum.cost.value_or(0) + used.cost();
}

}  // namespace

absl::Status Folder::Started(const v1::StageStarted& started) {
  FABRO_RETURN_IF_ERROR(CheckNode(started.node_id()));
  Cursor& cursor = this->cursor();
  NodeState& visited = state_.nodes[cursor.node];
  if (cursor.phase == Phase::kReady) {
    ++visited.visits;
    ++visited.stages;
    visited.retries = 0;
    cursor.stage = static_cast<std::uint32_t>(state_.stages.size());
    cursor.index = state_.stages_ended;
    state_.stages.push_back(
        {.node = cursor.node, .visit = visited.stages, .started_at = at_, .frame = frame().number});
  } else if (cursor.phase == Phase::kRetryWait) {
    visited.retries = ++cursor.retries;
  } else if (cursor.phase == Phase::kExecuting) {
    ++cursor.interrupted;
  } else {
    return Untimely();
  }
  frame().instant_steps = delta_.instant() ? frame().instant_steps + 1 : 0;
  row().state = StageState::kRunning;
  cursor.attempt = started.attempt();
  cursor.execution = event_.id();
  cursor.attempt_at = at_;
  cursor.wake_at.reset();
  cursor.phase = Phase::kExecuting;
  if (node().kind == NodeKind::kWait) {
    cursor.phase = Phase::kTimer;
    cursor.wake_at = at_ + node().duration;
  }
  if (node().kind == NodeKind::kManagerLoop) {
    cursor.phase = Phase::kChild;
    cursor.child = delta_.child_run();
    cursor.child_started = false;
  }
  return absl::OkStatus();
}

absl::Status Folder::Asked() {
  if (cursor().phase != Phase::kExecuting || node().kind != NodeKind::kHuman) return Untimely();
  cursor().phase = Phase::kAsking;
  cursor().asked_at = at_;
  cursor().question = ++state_.questions_asked;
  if (node().timeout) cursor().wake_at = at_ + *node().timeout;
  return absl::OkStatus();
}

absl::Status Folder::ChildBegan(const v1::SubgraphStarted& started) {
  FABRO_RETURN_IF_ERROR(CheckNode(started.node_id()));
  if (cursor().phase != Phase::kChild) return Untimely();
  cursor().child_started = true;
  return absl::OkStatus();
}

absl::Status Folder::ChildEnded() {
  if (cursor().phase != Phase::kChild) return Untimely();
  if (delta_.abandons_child()) state_.abandoned.push_back(cursor().child);
  cursor().child.clear();
  return absl::OkStatus();
}

absl::Status Folder::CheckInHand() const {
  if (HasStageInHand(cursor()) && cursor().stage < state_.stages.size()) return absl::OkStatus();
  return Untimely();
}

absl::Status Folder::Completed(const v1::StageCompleted& completed) {
  FABRO_RETURN_IF_ERROR(CheckNode(completed.node_id()));
  FABRO_RETURN_IF_ERROR(CheckInHand());
  NodeOutcome outcome{.status = FromProto(completed.status()),
                      .preferred_label = completed.preferred_label(),
                      .failure = std::nullopt,
                      .notes = completed.notes(),
                      .duration = at_ - row().started_at};
  MergeContext();
  if (completed.has_usage()) AddUsage(completed.usage(), state_.usage);
  if (node().kind != NodeKind::kConditional) {
    frame().last = {.node = cursor().node,
                    .status = outcome.status,
                    .preferred_label = outcome.preferred_label,
                    .notes = outcome.notes,
                    .failure = std::nullopt,
                    .failure_signature = ""};
  }
  EndStage(StageState::kCompleted, std::move(outcome));
  return absl::OkStatus();
}

absl::Status Folder::Failed(const v1::StageFailed& failed) {
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
                      .duration = at_ - row().started_at};
  MergeContext();
  frame().last = {.node = cursor().node,
                  .status = OutcomeStatus::kFail,
                  .preferred_label = delta_.preferred_label(),
                  .notes = delta_.notes(),
                  .failure = std::move(failure),
                  .failure_signature = failed.failure().failure_signature()};
  if (CountsInBreaker(failure_class)) Count(state_.loop_failures);
  const bool cancelled = failure_class == FailureClass::kCanceled;
  EndStage(cancelled ? StageState::kCancelled : StageState::kFailed, std::move(outcome));
  return absl::OkStatus();
}

absl::Status Folder::Retrying(const v1::StageRetrying& retrying) {
  FABRO_RETURN_IF_ERROR(CheckNode(retrying.node_id()));
  FABRO_RETURN_IF_ERROR(CheckInHand());
  if (cursor().phase != Phase::kExecuting && cursor().phase != Phase::kAsking &&
      cursor().phase != Phase::kChild) {
    return Untimely();
  }
  cursor().phase = Phase::kRetryWait;
  cursor().retry_delay = milliseconds(retrying.delay_ms());
  cursor().wake_at = at_ + cursor().retry_delay;
  row().state = StageState::kPending;
  return absl::OkStatus();
}

void Folder::MergeContext() {
  const bool in_branch = frame().number != 0;
  for (const std::string& key : delta_.context_removed()) {
    if (in_branch) {
      frame().context[key].clear();  // hides the parent's
    } else {
      frame().context.erase(key);
    }
  }
  for (const internal::v1::ContextEntry& entry : delta_.context_updates()) {
    frame().context.insert_or_assign(entry.key(), entry.value());
    if (entry.artifact()) ++state_.artifact_count;
    const bool is_response = entry.key() == "command.output" || entry.key().starts_with("response.");
    if (is_response) frame().response_key = entry.key();
  }
}

void Folder::EndStage(StageState how, NodeOutcome outcome) {
  row().state = how;
  row().duration = outcome.duration;
  ++state_.stages_ended;
  NodeState& visited = state_.nodes[cursor().node];
  if (visited.outcome == nullptr) visited.outcome = std::make_unique<NodeOutcome>();
  *visited.outcome = std::move(outcome);
  if (!cursor().child.empty()) state_.abandoned.push_back(std::exchange(cursor().child, ""));
  if (frame().instant_steps == 0) frame().restore_sha.clear();  // its files are there by now
  frame().fork = {};                                            // of a parallel stage that was cut short
  cursor().phase = Phase::kFinishing;
  cursor().wake_at.reset();
}

}  // namespace fabro::engine
