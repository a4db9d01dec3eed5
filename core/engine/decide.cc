#include "core/engine/decide.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/engine/context_view.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

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

void Decider::At(FrameNumber number) {
  at_ = number;
  emit_.At(number);
}

bool Decider::AtFrameOf(ExecutionId execution) {
  const auto found = core_.executing.find(static_cast<std::uint64_t>(execution));
  if (found == core_.executing.end()) return false;
  At(found->second);
  return true;
}

void Decider::On(const Start& start) {
  if (state_.status != RunStatus::kQueued) return;
  core_.has_slot = true;
  emit_.RunStarted(start.prepare);
  if (state_.preparing) return Prepare();
  GoOn();
}

void Decider::On(const Resume& resume) {
  if (IsOver() || state_.status == RunStatus::kQueued || core_.has_slot) return;
  core_.has_slot = true;
  core_.slot_requested = false;
  if (!IsRunning()) return;
  for (const std::string& child : state_.abandoned) {  // what was to be cancelled may not have been
    output_.effects.emplace_back(CancelChild{*RunId::Parse(child)});
  }
  bool works = state_.preparing && !core_.preparing;
  bool lost = false;
  ForEachCourse([&] {
    const Phase phase = cursor().phase;
    lost = lost || (phase == Phase::kExecuting && !core_.IsExecuting(frame()));
    works = works || phase == Phase::kReady || phase == Phase::kRetryWait || phase == Phase::kFinishing;
  });
  if (lost || (works && resume.crashed)) {
    At(0);
    v1::Event event = emit_.MakeEvent();
    event.mutable_workflow_run_resumed()->set_after(state_.head);
    emit_.Emit(event);
  }
  if (state_.preparing) return Prepare();
  ForEachCourse([&] {
    const Phase phase = cursor().phase;
    if (phase == Phase::kExecuting) {
      if (!core_.IsExecuting(frame())) RepeatLostAttempt();
    } else if (phase == Phase::kRetryWait) {
      if (now_ >= *cursor().wake_at) StartAttempt();
    } else {
      GoOn();
    }
  });
}

void Decider::On(const Continue&) {
  if (!IsRunning() || !core_.has_slot || state_.preparing) return;
  ForEachCourse([&] {
    if (cursor().phase == Phase::kReady) EnterNode();
  });
}

void Decider::On(const StageOutput& said) {
  if (!AtFrameOf(said.execution)) return;
  v1::Event event = emit_.MakeEvent();
  v1::StageOutput& output = *event.mutable_stage_output();
  output.set_node_id(node().id);
  output.set_stream(said.stream == StageOutput::Stream::kStdout ? v1::OUTPUT_STREAM_STDOUT
                                                                : v1::OUTPUT_STREAM_STDERR);
  output.set_text(said.text);
  CleanText(*output.mutable_text());
  emit_.Emit(event);
}

void Decider::On(const StageFinished& finished) {
  if (!AtFrameOf(finished.execution)) return;
  core_.executing.erase(static_cast<std::uint64_t>(finished.execution));
  Outcome outcome = finished.outcome;
  Clean(outcome);
  EndAttempt(std::move(outcome));
}

void Decider::On(const TimerDue&) {
  if (!IsRunning()) return;
  ForEachCourse([&] {
    const Cursor& cursor = this->cursor();
    if (cursor.phase == Phase::kChild) return LookAtChild();
    if (!cursor.wake_at || now_ < *cursor.wake_at) return;
    if (cursor.phase == Phase::kAsking) return AskTimeout();
    if (cursor.phase == Phase::kTimer) return EndAttempt(Outcome{});
    if (cursor.phase != Phase::kRetryWait) return;
    if (core_.has_slot) return StartAttempt();
    RequestRunSlot();
  });
}

void Decider::On(const Cancel& cancel) {
  if (IsOver()) {
    return Refuse(FailedPrecondition(Reason::kRunNotCancellable, core_.id_text, "Run is not cancellable."));
  }
  EndStagesInHand("The run was cancelled.");
  if (std::exchange(core_.preparing, false)) output_.effects.emplace_back(CancelPreparation{});
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_cancelled()->set_by(ToValidUtf8(cancel.by));
  event.mutable_workflow_run_cancelled()->set_duration_ms(emit_.RunDurationMs());
  emit_.Emit(event);
  output_.effects.emplace_back(RunFinished{});
}

void Decider::On(const Pause& pause) {
  if (!IsRunning()) {
    return Refuse(FailedPrecondition(Reason::kRunNotPausable, core_.id_text, "Run is not pausable."));
  }
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_paused()->set_by(ToValidUtf8(pause.by));
  emit_.Emit(event);
  core_.slot_requested = false;
}

void Decider::On(const Unpause& unpause) {
  if (state_.status != RunStatus::kPaused) {
    return Refuse(FailedPrecondition(Reason::kRunNotPaused, core_.id_text, "Run is not paused."));
  }
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_unpaused()->set_by(ToValidUtf8(unpause.by));
  emit_.Emit(event);
  ForEachCourse([&] { GoOn(); });
}

void Decider::On(const Answer& answer) {
  if (absl::Status given = CheckAnswerGiven(answer); !given.ok()) return Refuse(std::move(given));
  if (state_.status == RunStatus::kQueued || state_.status == RunStatus::kStarting) {
    return Refuse(FailedPrecondition(Reason::kRunNotRunning, core_.id_text, "Run is not yet running."));
  }
  const auto asking = std::ranges::find_if(state_.frames, [&](const auto& entry) {
    const Cursor& cursor = entry.second.cursor;
    return cursor.phase == Phase::kAsking && QuestionIdOf(cursor.question) == answer.question_id;
  });
  if (asking == state_.frames.end()) {
    return Refuse(FailedPrecondition(Reason::kQuestionGone, answer.question_id,
                                     "Question no longer exists or was already answered."));
  }
  At(asking->first);
  absl::StatusOr<Choice> choice = MatchAnswer(graph_, node(), answer);
  if (!choice.ok()) return Refuse(std::move(choice).status());
  CleanText(choice->text);

  v1::Event event = emit_.MakeEvent();
  v1::InterviewCompleted& completed = *event.mutable_interview_completed();
  completed.set_question_id(answer.question_id);
  completed.set_question(node().label);
  completed.set_answer(DescribeChoice(*choice));
  completed.set_by(ToValidUtf8(answer.by));
  completed.set_duration_ms(static_cast<std::uint64_t>((now_ - cursor().asked_at).count()));
  emit_.Emit(event);
  EndAttempt(OutcomeOf(graph_, node(), *choice, completed.by()));
}

void Decider::On(const Stalled& stalled) {
  if (!AtFrameOf(stalled.execution)) return;
  const std::string& node_id = node().id;
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

void Decider::On(const Rewind& rewind) {
  if (!IsRunning() && state_.status != RunStatus::kPaused) {
    const Reason reason = IsOver() ? Reason::kRunTerminal : Reason::kRunNotRunning;
    return Refuse(FailedPrecondition(reason, core_.id_text, "Run is not rewindable."));
  }
  EndStagesInHand("The run was taken back to a checkpoint.");
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_rewound()->set_by(ToValidUtf8(rewind.by));
  event.mutable_workflow_run_rewound()->set_checkpoint(rewind.checkpoint);
  internal::v1::StateDelta delta;
  delta.set_state(rewind.state);
  emit_.Emit(event, std::move(delta));
  GoOn();
}

void Decider::RequestRunSlot() {
  if (!core_.slot_requested) output_.effects.emplace_back(RequestSlot{});
  core_.slot_requested = true;
}

void Decider::Settle() {
  if (IsOver() || state_.status == RunStatus::kQueued) return;
  const bool wants_slot = IsRunning() ? HasWork(core_) : !core_.executing.empty() || core_.preparing;
  if (wants_slot && !core_.has_slot) RequestRunSlot();
  if (!wants_slot && core_.has_slot) {
    core_.has_slot = false;
    output_.effects.emplace_back(Park{});
  }
  const auto is_ready = [](const auto& entry) { return entry.second.cursor.phase == Phase::kReady; };
  if (IsRunning() && core_.has_slot && !state_.preparing && std::ranges::any_of(state_.frames, is_ready)) {
    output_.effects.emplace_back(ContinueStep{});
  }
}

}  // namespace fabro::engine
