// What a run does about an input. One Decider handles one input: it emits events, each folded into the state
// at once, and collects the effects. Its inputs are in decide.cc, a course's steps through the graph in
// step.cc, parallel branches in parallel.cc, the run's end in finish.cc.
#pragma once

#include <string>
#include <utility>

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
  void On(const PreparationTold& told);
  void On(const RunPrepared& done);
  void On(const ChildStarted& started);
  void On(const ChildRefused& refused);
  void On(const ChildFinished& finished);
  void On(const ChildObserved& observed);
  void On(const Rewind& rewind);

  // After the input: asks for a slot where there is something to do, gives it back where there is not.
  void Settle();

 private:
  // The course that the steps are about; the run's own until somebody sets another. A step may lead to the
  // end of its branch, and then the course is its parent's.
  void At(FrameNumber number);
  bool AtFrameOf(ExecutionId execution);  // false: it does not run here
  Frame& frame() { return state_.frames.find(at_)->second; }
  Cursor& cursor() { return frame().cursor; }
  const workflow::Node& node() { return core_.NodeOf(frame()); }
  bool IsOver() const { return IsTerminal(state_.status); }
  bool IsRunning() const { return state_.status == RunStatus::kRunning; }
  template <typename Step>
  void ForEachCourse(Step step);

  void Prepare();  // before the first step

  // Steps. Each leaves the course in another phase; they are listed in run_state.h.
  void GoOn();             // enters the next node, or says what is needed for it
  void EnterNode();        // kReady: the stage, or the run's end
  void RunInstantStage();  // of a kind that needs nothing from outside
  void StartAttempt();     // StageStarted and what the kind waits for
  void Ask();
  void RepeatLostAttempt();
  void EndAttempt(Outcome outcome);  // another attempt, or the end of the stage
  void Retry(const Failure& failure);
  void EndStage(Outcome outcome);           // the final outcome
  void LeaveStage(const Outcome& outcome);  // the next edge
  bool TakeEdge(const workflow::Edge& edge, EdgeReason reason, const Outcome& outcome);
  bool FollowFailure(const Outcome& outcome);
  bool RestartLoop(const workflow::Edge& edge);  // false: not allowed, the run failed
  bool FailedInEndlessCircle();
  bool FailedInCircles(FailureClass failure_class);
  void AskTimeout();
  std::uint32_t max_attempts();
  bool IsInstantHere();   // the next node's stage needs nothing from outside
  bool IsStepByItself();  // ... or it is branches

  // Child runs (child.cc).
  void StartChildRun();
  void LookAtChild();
  bool AtFrameOf(const RunId& child);              // false: no course waits for it
  void BeginChild(const std::string& start_node);  // nothing when it is known to be there
  void EndChild(OutcomeStatus status, std::uint32_t stages, bool abandoned);
  void LeaveChild(Outcome outcome, std::string_view run_status, std::uint32_t stages, bool abandoned);

  // Parallel branches.
  void StartBranches();
  void BeginBranches();  // as many as may work side by side; ends the stage when all have ended
  void EndBranch(OutcomeStatus status);
  void TellBranchEnded(OutcomeStatus status);
  void CutBranchesShort();  // those that go on, of the parallel node in hand
  void CutShort(FrameNumber branch);
  void CompleteParallel();
  bool IsWayOut(workflow::NodeIndex next);  // where the branch ends

  // The run's end.
  void CompleteRun();
  void FailRun(std::string error);
  void EndStagesInHand(std::string_view why);
  void DropStage(const Failure& failure);  // the stage in hand, if any, and what works for it
  void CancelExecution();

  void Refuse(absl::Status status) { output_.refusal = std::move(status); }
  void RequestRunSlot();

  RunCore& core_;
  RunState& state_;
  const workflow::Graph& graph_;
  const Timestamp now_;
  Random& random_;
  Output& output_;
  Emitter emit_;
  FrameNumber at_ = 0;
};

// The courses as they are now; those that begin meanwhile are not among them.
template <typename Step>
void Decider::ForEachCourse(Step step) {
  const FrameNumber end = state_.next_frame;
  FrameNumber next = 0;
  for (auto at = state_.frames.begin(); at != state_.frames.end() && at->first < end && !IsOver();
       at = state_.frames.lower_bound(next)) {
    next = at->first + 1;
    At(at->first);
    step();
  }
}

}  // namespace fabro::engine
