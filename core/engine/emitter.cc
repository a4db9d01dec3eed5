#include "core/engine/emitter.h"

#include <utility>

#include "core/base/error.h"
#include "core/engine/context_view.h"
#include "core/engine/fold.h"
#include "core/engine/signature.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

using internal::v1::StateDelta;

v1::Event Emitter::MakeEvent() const {
  v1::Event event;
  event.set_id(core_.state.head + 1);
  event.set_run_id(core_.id_text);
  event.mutable_ts()->set_seconds(now_.unix_ms / 1000);
  event.mutable_ts()->set_nanos(static_cast<std::int32_t>(now_.unix_ms % 1000 * 1'000'000));
  return event;
}

void Emitter::Emit(const v1::Event& event) { Emit(event, StateDelta()); }

void Emitter::Emit(const v1::Event& event, StateDelta delta) {
  delta.set_frame(at_);
  const absl::Status folded = Fold(core_.graph(), event, delta, core_.state);
  FABRO_CHECK(folded.ok());  // or what was decided here could not be read back
  Record& record = output_.records.emplace_back();
  event.SerializeToString(&record.event);
  delta.SerializeToString(&record.delta);
  core_.tail_bytes += record.event.size() + record.delta.size();
}

template <typename Payload>
void Emitter::Describe(Payload& payload) const {
  payload.set_node_id(node().id);
  payload.set_name(node().label);
  const Cursor& cursor = frame().cursor;
  payload.set_index(cursor.phase == Phase::kReady ? core_.state.stages_ended : cursor.index);
}

void Emitter::RunStarted(bool preparing) {
  StateDelta delta;
  delta.set_preparing(preparing);
  v1::Event event = MakeEvent();
  DescribeRun(*event.mutable_workflow_run_started());
  Emit(event, std::move(delta));
}

void Emitter::ForkStarted(const ForkOrigin& origin) {
  StateDelta delta;
  delta.set_preparing(origin.prepare);
  delta.set_state(origin.state);
  v1::Event event = MakeEvent();
  v1::WorkflowRunStarted& started = *event.mutable_workflow_run_started();
  DescribeRun(started);
  started.set_forked_from_run_id(origin.run.ToString());
  started.set_forked_from_checkpoint(origin.checkpoint);
  Emit(event, std::move(delta));
}

void Emitter::DescribeRun(v1::WorkflowRunStarted& started) const {
  started.set_name(core_.graph().name);
  const std::string_view goal = GoalOf(core_.seed);
  if (!goal.empty()) started.set_goal(goal.data(), goal.size());
  const std::string& trace =
      core_.seed.traceparent.empty() ? core_.state.traceparent : core_.seed.traceparent;
  if (!trace.empty()) started.set_traceparent(trace);
}

void Emitter::StageStarted(std::uint32_t attempt, std::uint32_t max_attempts, StateDelta delta) {
  v1::Event event = MakeEvent();
  v1::StageStarted& started = *event.mutable_stage_started();
  Describe(started);
  const std::string_view kind = workflow::ToString(node().kind);
  started.set_handler_type(kind.data(), kind.size());
  started.set_attempt(attempt);
  started.set_max_attempts(max_attempts);
  Emit(event, std::move(delta));
}

void Emitter::StageCompleted(const Outcome& outcome, std::uint32_t max_attempts, StateDelta delta) {
  v1::Event event = MakeEvent();
  v1::StageCompleted& completed = *event.mutable_stage_completed();
  Describe(completed);
  completed.set_duration_ms(Spend());
  completed.set_status(ToProto(outcome.status));
  if (!outcome.preferred_label.empty()) completed.set_preferred_label(outcome.preferred_label);
  for (const std::string& id : outcome.suggested_next_ids) completed.add_suggested_next_ids(id);
  if (outcome.failure) {
    completed.mutable_failure()->set_message(outcome.failure->message);
    completed.mutable_failure()->set_failure_class(ToProto(outcome.failure->failure_class));
    if (outcome.failure->timed_out) completed.mutable_failure()->set_timed_out(true);
  }
  if (!outcome.notes.empty()) completed.set_notes(outcome.notes);
  for (const std::string& path : outcome.files_touched) completed.add_files_touched(path);
  if (outcome.usage) {
    SetUsage(*outcome.usage, *completed.mutable_usage());
    output_.spent.calls.push_back(*outcome.usage);
  }
  completed.set_attempt(frame().cursor.attempt);
  completed.set_max_attempts(max_attempts);
  Emit(event, std::move(delta));
}

void Emitter::StageFailed(const Failure& failure, bool will_retry, std::uint32_t max_attempts) {
  StageFailed(failure, will_retry, max_attempts, StateDelta());
}

void Emitter::StageFailed(const Failure& failure, bool will_retry, std::uint32_t max_attempts,
                          StateDelta delta) {
  v1::Event event = MakeEvent();
  v1::StageFailed& failed = *event.mutable_stage_failed();
  Describe(failed);
  v1::FailureDetail& detail = *failed.mutable_failure();
  detail.set_message(failure.message);
  detail.set_failure_class(ToProto(failure.failure_class));
  if (failure.timed_out) detail.set_timed_out(true);
  detail.set_failure_signature(FailureSignature(node().id, failure.failure_class, failure.message));
  failed.set_will_retry(will_retry);
  failed.set_attempt(frame().cursor.attempt);
  failed.set_max_attempts(max_attempts);
  failed.set_duration_ms(Spend());
  Emit(event, std::move(delta));
}

void Emitter::StageRetrying(std::uint32_t attempt, std::uint32_t max_attempts,
                            std::chrono::milliseconds delay) {
  v1::Event event = MakeEvent();
  v1::StageRetrying& retrying = *event.mutable_stage_retrying();
  Describe(retrying);
  retrying.set_attempt(attempt);
  retrying.set_max_attempts(max_attempts);
  retrying.set_delay_ms(static_cast<std::uint64_t>(delay.count()));
  Emit(event);
}

void Emitter::EdgeSelected(const workflow::Node& from, const workflow::Node& to, const workflow::Edge* edge,
                           EdgeReason reason, const Outcome& outcome) {
  v1::Event event = MakeEvent();
  v1::EdgeSelected& selected = *event.mutable_edge_selected();
  selected.set_from_node(from.id);
  selected.set_to_node(to.id);
  if (edge != nullptr && !edge->label.empty()) selected.set_label(edge->label);
  if (edge != nullptr && edge->is_conditional()) selected.set_condition(edge->condition_text);
  selected.set_reason(ToProto(reason));
  if (!outcome.preferred_label.empty()) selected.set_preferred_label(outcome.preferred_label);
  for (const std::string& id : outcome.suggested_next_ids) selected.add_suggested_next_ids(id);
  selected.set_stage_status(ToProto(outcome.status));
  selected.set_is_jump(edge == nullptr);
  StateDelta delta;
  if (edge != nullptr && workflow::TellsTarget(*edge)) delta.set_edge(edge->index + 1);
  Emit(event, std::move(delta));
}

void Emitter::GitCommit(const workflow::Node& node, const std::string& sha) {
  v1::Event event = MakeEvent();
  event.mutable_git_commit()->set_node_id(node.id);
  event.mutable_git_commit()->set_sha(sha);
  Emit(event);
}

void Emitter::CheckpointCompleted(const workflow::Node& node, const Outcome& outcome) {
  v1::Event event = MakeEvent();
  v1::CheckpointCompleted& completed = *event.mutable_checkpoint_completed();
  completed.set_node_id(node.id);
  completed.set_status(ToProto(outcome.status));
  const std::string& sha = outcome.git_commit_sha.empty() ? FilesBefore() : outcome.git_commit_sha;
  if (!sha.empty()) completed.set_git_commit_sha(sha);
  Emit(event);
}

// The commit that a stage which changed no files leaves them at.
const std::string& Emitter::FilesBefore() const {
  static const std::string kNone;
  const RunState& state = core_.state;
  if (!state.prepared || state.prepared->repository.empty()) return kNone;
  return frame().files_sha.empty() ? state.prepared->base_sha : frame().files_sha;
}

void Emitter::Warning(std::string_view code, std::string_view message) {
  v1::Event event = MakeEvent();
  v1::RunNotice& notice = *event.mutable_run_notice();
  notice.set_level(v1::NOTICE_LEVEL_WARN);
  notice.set_code(code.data(), code.size());
  notice.set_message(message.data(), message.size());
  Emit(event);
}

std::uint64_t Emitter::RunDurationMs() const {
  const std::optional<Timestamp>& started = core_.state.started_at;
  return started ? static_cast<std::uint64_t>((now_ - *started).count()) : 0;
}

std::uint64_t Emitter::Spend() {
  const std::uint64_t duration = AttemptDurationMs();
  output_.spent.runtime += std::chrono::milliseconds(duration);
  return duration;
}

std::uint64_t Emitter::AttemptDurationMs() const {
  return static_cast<std::uint64_t>((now_ - frame().cursor.attempt_at).count());
}

}  // namespace fabro::engine
