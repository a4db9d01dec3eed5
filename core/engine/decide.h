// What a run does about an input. One Decider handles one input: it emits events, each folded into the state
// at once, and collects the effects. Its inputs are in decide.cc, its steps through the graph in step.cc.
#pragma once

#include <string>

#include "core/engine/answer.h"
#include "core/engine/emitter.h"
#include "core/engine/run_core.h"

namespace fabro::engine {

class Decider {
 public:
  // All of them outlive it.
  Decider(RunCore& core, Timestamp now, Random& random, Output& output);

  void On(const Start& start);
  void On(const Resume& resume);
  void On(const Continue& go_on);
  void On(const StageOutput& said);
  void On(const StageFinished& finished);
  void On(const TimerDue& due);
  void On(const Cancel& cancel);
  void On(const Pause& pause);
  void On(const Unpause& unpause);
  void On(const Answer& answer);
  void On(const Stalled& stalled);

 private:
  // Steps. Each leaves the run in another phase; they are listed in run_state.h.
  void GoOn();             // from kReady and kFinishing: enters the next node, or says what is needed for it
  void EnterNode();        // kReady: the stage, or the run's end
  void RunInstantStage();  // of a kind that needs nothing from outside
  void StartAttempt();     // StageStarted and what the kind waits for
  void EndAttempt(Outcome outcome);  // another attempt, or the end of the stage
  void Retry(const Failure& failure);
  void EndStage(Outcome outcome);                // the final outcome
  void LeaveStage(const Outcome& outcome);       // the next edge
  bool RestartLoop(const workflow::Edge& edge);  // false: not allowed, the run failed
  void CompleteRun();
  void FailRun(std::string error);
  bool FailedWhereVisitsAreUsedUp();
  bool FailedInCircles(FailureClass failure_class);
  void AskTimeout();
  std::uint32_t max_attempts() const;

  // Slots and executions.
  bool NeedSlot();  // true when there is one; asks for it otherwise
  void ParkRun();
  void CancelExecution();
  bool IsExecuting(ExecutionId execution) const;
  void Refuse(absl::Status status) { output_.refusal = std::move(status); }

  RunCore& core_;
  RunState& state_;
  const workflow::Graph& graph_;
  const Timestamp now_;
  Random& random_;
  Output& output_;
  Emitter emit_;
};

}  // namespace fabro::engine
