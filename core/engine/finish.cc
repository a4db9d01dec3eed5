// How a run ends, by its way or against it.
#include "core/base/strings.h"
#include "core/engine/decide.h"
#include "core/engine/words.h"
#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

constexpr std::chrono::milliseconds kCancelGrace = std::chrono::seconds(5);

}  // namespace

void Decider::CompleteRun() {
  if (const workflow::Node* gate = FindUnsatisfiedGate(graph_, state_)) {
    const workflow::Node* target = RetryTargetOf(graph_, *gate);
    if (target == nullptr ||
        target->kind == workflow::NodeKind::kExit) {  // from the exit to itself is no way on
      return FailRun(StrCat("goal gate unsatisfied for node ", gate->id, " and no retry target"));
    }
    Outcome outcome;
    outcome.status = state_.nodes[gate->index].outcome->status;
    emit_.EdgeSelected(node(), *target, nullptr, EdgeReason::kRetryTarget, outcome);
    return GoOn();
  }
  const LastStage& last = frame().last;
  OutcomeStatus status = OutcomeStatus::kSuccess;
  if (last.node && last.status == OutcomeStatus::kPartialSuccess) status = OutcomeStatus::kPartialSuccess;
  if (last.node && last.status == OutcomeStatus::kFail) {
    status = OutcomeStatus::kPartialSuccess;
    emit_.Warning("failed_stage_before_exit",
                  StrCat("The last stage before the exit, ", graph_.nodes[*last.node].id, ", failed."));
  }
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_completed()->set_duration_ms(emit_.RunDurationMs());
  event.mutable_workflow_run_completed()->set_status(ToProto(status));
  event.mutable_workflow_run_completed()->set_artifact_count(state_.artifact_count);
  if (state_.usage.stages > 0) {
    SetUsage(state_.usage.sum, *event.mutable_workflow_run_completed()->mutable_usage());
    if (state_.usage.sum.cost) event.mutable_workflow_run_completed()->set_total_cost(*state_.usage.sum.cost);
  }
  emit_.Emit(event);
  output_.effects.emplace_back(RunFinished{});
}

void Decider::FailRun(std::string error) {
  EndStagesInHand("The run failed.");
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_failed()->set_error(std::move(error));
  event.mutable_workflow_run_failed()->set_duration_ms(emit_.RunDurationMs());
  emit_.Emit(event);
  output_.effects.emplace_back(RunFinished{});
}

// Branches before what they belong to. Leaves the run's own course current.
void Decider::EndStagesInHand(std::string_view why) {
  const Failure failure{.message = std::string(why), .failure_class = FailureClass::kCanceled};
  for (auto at = state_.frames.rbegin(); at != state_.frames.rend(); ++at) {
    At(at->first);
    DropStage(failure);
  }
}

void Decider::DropStage(const Failure& failure) {
  if (cursor().phase == Phase::kChild) {
    output_.effects.emplace_back(CancelChild{*RunId::Parse(cursor().child)});
    core_.next_look.erase(at_);
    if (cursor().child_started) EndChild(OutcomeStatus::kFail, 0, true);
  }
  if (HasStageInHand(cursor())) emit_.StageFailed(failure, false, max_attempts());
  CancelExecution();
}

void Decider::CancelExecution() {
  const std::uint64_t execution = cursor().execution;
  if (core_.executing.erase(execution) == 0) return;
  output_.effects.emplace_back(CancelStage{.execution = ExecutionId(execution), .grace = kCancelGrace});
}

}  // namespace fabro::engine
