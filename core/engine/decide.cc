#include "core/engine/decide.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/engine/context_view.h"
#include "core/engine/retry_policy.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

constexpr std::chrono::milliseconds kCancelGrace = std::chrono::seconds(5);

void CleanText(std::string& text) {
  if (!IsValidUtf8(text)) text = ToValidUtf8(text);
}

// Text that is no UTF-8 has no place in an event, and the engine's own context keys are not a stage's to
// write.
void Clean(Outcome& outcome) {
  if (outcome.failure) CleanText(outcome.failure->message);
  CleanText(outcome.preferred_label);
  CleanText(outcome.notes);
  std::ranges::for_each(outcome.suggested_next_ids, CleanText);
  std::ranges::for_each(outcome.files_touched, CleanText);
  std::erase_if(outcome.context_updates, [](const auto& entry) {
    return IsEngineKey(entry.first) || !IsValidUtf8(entry.first) || entry.second.empty();
  });
  for (auto& [key, value] : outcome.context_updates) CleanText(value);
}

}  // namespace

Decider::Decider(RunCore& core, Timestamp now, Random& random, Output& output)
    : core_(core),
      state_(core.state),
      graph_(core.graph()),
      now_(std::max(now, core.state.last_event_at)),  // a clock that was set back must not turn time around
      random_(random),
      output_(output),
      emit_(core, now_, output) {}

void Decider::On(const Start&) {
  if (state_.status != RunStatus::kQueued) return;
  core_.has_slot = true;
  emit_.RunStarted();
  GoOn();
}

void Decider::On(const Resume& resume) {
  if (IsTerminal(state_.status) || state_.status == RunStatus::kQueued || core_.executing) return;
  core_.has_slot = true;
  core_.slot_requested = false;
  const Phase phase = state_.cursor.phase;
  const bool only_waits =
      state_.status == RunStatus::kPaused || phase == Phase::kTimer || phase == Phase::kAsking;
  if (only_waits) return ParkRun();
  if (resume.crashed || phase == Phase::kExecuting) {
    v1::Event event = emit_.MakeEvent();
    event.mutable_workflow_run_resumed()->set_after(state_.head);
    emit_.Emit(event);
  }
  if (phase == Phase::kExecuting) return StartAttempt();
  if (phase != Phase::kRetryWait) return GoOn();
  if (now_ >= *state_.cursor.wake_at) return StartAttempt();
  if (state_.cursor.retry_delay > kMaxDelayInSlot) ParkRun();
}

void Decider::On(const Continue&) {
  if (state_.status == RunStatus::kRunning && state_.cursor.phase == Phase::kReady && core_.has_slot)
    EnterNode();
}

void Decider::On(const StageOutput& said) {
  if (!IsExecuting(said.execution)) return;
  v1::Event event = emit_.MakeEvent();
  v1::StageOutput& output = *event.mutable_stage_output();
  output.set_node_id(core_.node().id);
  output.set_stream(said.stream == StageOutput::Stream::kStdout ? v1::OUTPUT_STREAM_STDOUT
                                                                : v1::OUTPUT_STREAM_STDERR);
  output.set_text(said.text);
  CleanText(*output.mutable_text());
  emit_.Emit(event);
}

void Decider::On(const StageFinished& finished) {
  if (!IsExecuting(finished.execution)) return;
  core_.executing = false;
  Outcome outcome = finished.outcome;
  Clean(outcome);
  EndAttempt(std::move(outcome));
}

void Decider::On(const TimerDue&) {
  const Cursor& cursor = state_.cursor;
  if (state_.status != RunStatus::kRunning || !cursor.wake_at || now_ < *cursor.wake_at) return;
  if (cursor.phase == Phase::kAsking) return AskTimeout();
  if (cursor.phase == Phase::kTimer) return EndAttempt(Outcome{});
  if (cursor.phase == Phase::kRetryWait && NeedSlot()) StartAttempt();
}

void Decider::On(const Cancel& cancel) {
  if (IsTerminal(state_.status)) {
    return Refuse(FailedPrecondition(Reason::kRunNotCancellable, core_.id_text, "Run is not cancellable."));
  }
  if (HasStageInHand(state_)) {
    const Failure failure{.message = "The run was cancelled.", .failure_class = FailureClass::kCanceled};
    emit_.StageFailed(failure, false, max_attempts());
  }
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_cancelled()->set_by(ToValidUtf8(cancel.by));
  event.mutable_workflow_run_cancelled()->set_duration_ms(emit_.RunDurationMs());
  emit_.Emit(event);
  CancelExecution();
  output_.effects.emplace_back(RunFinished{});
}

void Decider::On(const Pause& pause) {
  if (state_.status != RunStatus::kRunning) {
    return Refuse(FailedPrecondition(Reason::kRunNotPausable, core_.id_text, "Run is not pausable."));
  }
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_paused()->set_by(ToValidUtf8(pause.by));
  emit_.Emit(event);
  core_.slot_requested = false;
  if (!core_.executing) ParkRun();  // else when the stage in hand has ended
}

void Decider::On(const Unpause& unpause) {
  if (state_.status != RunStatus::kPaused) {
    return Refuse(FailedPrecondition(Reason::kRunNotPaused, core_.id_text, "Run is not paused."));
  }
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_unpaused()->set_by(ToValidUtf8(unpause.by));
  emit_.Emit(event);
  if (core_.executing) return;
  const Cursor& cursor = state_.cursor;
  const bool waits_in_slot = cursor.phase == Phase::kRetryWait && cursor.retry_delay <= kMaxDelayInSlot;
  // An execution that was lost while the run was paused runs again when the slot is there.
  if (cursor.phase == Phase::kExecuting || waits_in_slot) {
    NeedSlot();
  } else {
    GoOn();
  }
}

void Decider::On(const Answer& answer) {
  if (absl::Status given = CheckAnswerGiven(answer); !given.ok()) return Refuse(std::move(given));
  if (state_.status == RunStatus::kQueued || state_.status == RunStatus::kStarting) {
    return Refuse(FailedPrecondition(Reason::kRunNotRunning, core_.id_text, "Run is not yet running."));
  }
  if (state_.cursor.phase != Phase::kAsking || answer.question_id != QuestionIdOf(state_.questions_asked)) {
    return Refuse(FailedPrecondition(Reason::kQuestionGone, answer.question_id,
                                     "Question no longer exists or was already answered."));
  }
  const workflow::Node& node = core_.node();
  absl::StatusOr<Choice> choice = MatchAnswer(graph_, node, answer);
  if (!choice.ok()) return Refuse(std::move(choice).status());
  CleanText(choice->text);

  v1::Event event = emit_.MakeEvent();
  v1::InterviewCompleted& completed = *event.mutable_interview_completed();
  completed.set_question_id(answer.question_id);
  completed.set_question(node.label);
  completed.set_answer(DescribeChoice(*choice));
  completed.set_by(ToValidUtf8(answer.by));
  completed.set_duration_ms(static_cast<std::uint64_t>((now_ - state_.cursor.asked_at).count()));
  emit_.Emit(event);
  EndAttempt(OutcomeOf(graph_, node, *choice, completed.by()));
}

void Decider::On(const Stalled& stalled) {
  if (!core_.executing) return;
  const std::string& node_id = core_.node().id;
  v1::Event event = emit_.MakeEvent();
  event.mutable_stall_watchdog_timeout()->set_node(node_id);
  event.mutable_stall_watchdog_timeout()->set_idle_seconds(static_cast<std::uint64_t>(stalled.idle.count()));
  emit_.Emit(event);
  const std::string message =
      StrCat("stall watchdog: node \"", node_id, "\" had no activity for ", stalled.idle.count(), "s");
  const Failure failure{.message = message, .failure_class = FailureClass::kTransientInfra};
  emit_.StageFailed(failure, false, max_attempts());
  CancelExecution();
  FailRun(message);
}

bool Decider::NeedSlot() {
  if (core_.has_slot) return true;
  if (!core_.slot_requested) output_.effects.emplace_back(RequestSlot{});
  core_.slot_requested = true;
  return false;
}

void Decider::ParkRun() {
  if (core_.has_slot) output_.effects.emplace_back(Park{});
  core_.has_slot = false;
}

bool Decider::IsExecuting(ExecutionId execution) const {
  return core_.executing && execution == ExecutionId(state_.cursor.execution);
}

void Decider::CancelExecution() {
  if (!core_.executing) return;
  core_.executing = false;
  output_.effects.emplace_back(
      CancelStage{.execution = ExecutionId(state_.cursor.execution), .grace = kCancelGrace});
}

}  // namespace fabro::engine
