// A run's way through its graph: enter a node, run its stage with retries, choose the next edge, end.
#include <algorithm>
#include <utility>

#include "core/base/strings.h"
#include "core/engine/context_view.h"
#include "core/engine/decide.h"
#include "core/engine/retry_policy.h"
#include "core/engine/signature.h"
#include "core/engine/stage_request.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

using internal::v1::StateDelta;
using std::chrono::milliseconds;
using workflow::Node;
using workflow::NodeKind;

namespace {

// An unanswered gate never passes, whatever the node's attributes say.
bool MayBeLenient(const Node& node) { return node.kind != NodeKind::kHuman; }

bool NeedsNothingFromOutside(const RunSeed& seed, const Node& node) {
  switch (node.kind) {
    case NodeKind::kStart:
    case NodeKind::kExit:
    case NodeKind::kConditional:
      return true;
    case NodeKind::kAgent:
    case NodeKind::kPrompt:
      return seed.simulate_models;
    default:
      return false;
  }
}

std::string Seconds(milliseconds d) {
  return d.count() % 1000 == 0 ? StrCat(d.count() / 1000, "s") : StrCat(d.count(), "ms");
}

Failure FailureOf(const Outcome& outcome, const Node& node) {
  if (outcome.failure) return *outcome.failure;
  const std::string_view what =
      outcome.status == OutcomeStatus::kRetry ? "asked for another attempt" : "failed";
  return {.message = StrCat("stage ", node.id, " ", what), .failure_class = FailureClass::kDeterministic};
}

bool Reached(const SignatureCounts& counts, const std::string& signature, int limit) {
  const auto found = counts.find(signature);
  return limit > 0 && found != counts.end() && found->second >= static_cast<std::uint32_t>(limit);
}

}  // namespace

void Decider::GoOn() {
  if (state_.status == RunStatus::kPaused) return ParkRun();
  if (state_.cursor.phase == Phase::kFinishing) return CompleteRun();
  if (state_.cursor.phase != Phase::kReady || !NeedSlot()) return;
  if (NeedsNothingFromOutside(core_.seed, core_.node())) {
    output_.effects.emplace_back(ContinueStep{});
  } else {
    EnterNode();
  }
}

void Decider::EnterNode() {
  const Node& node = core_.node();
  if (node.kind == NodeKind::kExit) return CompleteRun();
  if (FailedWhereVisitsAreUsedUp()) return;
  if (!IsSupported(node.kind)) {
    return FailRun(StrCat("node \"", node.id, "\": stages of the kind ", workflow::ToString(node.kind),
                          " cannot run yet"));
  }
  if (NeedsNothingFromOutside(core_.seed, node)) return RunInstantStage();
  StartAttempt();
}

bool Decider::FailedWhereVisitsAreUsedUp() {
  const Node& node = core_.node();
  const int limit = node.max_visits.value_or(graph_.max_node_visits);
  const std::uint32_t visits = state_.nodes[node.index].visits;
  if (limit <= 0 || visits < static_cast<std::uint32_t>(limit)) return false;
  FailRun(StrCat("node \"", node.id, "\" visited ", visits, " times (", node.max_visits ? "node" : "graph",
                 " limit ", limit, "); run is stuck in a cycle"));
  return true;
}

void Decider::RunInstantStage() {
  const Node& node = core_.node();
  StartAttempt();
  Outcome outcome;
  if (node.kind == NodeKind::kConditional) {
    outcome.notes = StrCat("Conditional node evaluated: ", node.id);
  } else if (node.kind != NodeKind::kStart) {
    outcome.notes = StrCat("[Simulated] ", node.id);
    const std::string response = JsonString(StrCat("[Simulated] Response for stage: ", node.id));
    outcome.context_updates.emplace("last_response", response);
    outcome.context_updates.emplace(StrCat("response.", node.id), response);
  }
  EndStage(std::move(outcome));
}

std::uint32_t Decider::max_attempts() const {
  const Node& node = core_.node();
  const bool only_once = NeedsNothingFromOutside(core_.seed, node) || node.kind == NodeKind::kWait;
  return (only_once ? 1 : RetryPlanFor(graph_, node).max_attempts) + state_.cursor.interrupted;
}

void Decider::StartAttempt() {
  const Node& node = core_.node();
  if (state_.cursor.phase == Phase::kReady) {
    emit_.StageStarted(1, max_attempts());
  } else {
    const std::uint32_t cut_short = state_.cursor.phase == Phase::kExecuting ? 1 : 0;
    emit_.StageStarted(state_.cursor.attempt + 1, max_attempts() + cut_short);
  }
  if (NeedsNothingFromOutside(core_.seed, node)) return;
  if (node.kind == NodeKind::kWait) return ParkRun();
  if (node.kind == NodeKind::kHuman) {
    v1::Event event = emit_.MakeEvent();
    v1::InterviewStarted& asked = *event.mutable_interview_started();
    asked.set_question_id(QuestionIdOf(state_.questions_asked + 1));
    asked.set_question(node.label);
    asked.set_stage(node.id);
    asked.set_question_type(ToProto(workflow::QuestionTypeOf(graph_, node)));
    emit_.Emit(event);
    return ParkRun();
  }
  core_.executing = true;
  output_.effects.emplace_back(MakeStageRequest(core_, max_attempts()));
}

void Decider::AskTimeout() {
  const Node& node = core_.node();
  const std::string question_id = QuestionIdOf(state_.questions_asked);
  v1::Event event = emit_.MakeEvent();
  v1::InterviewTimeout& timeout = *event.mutable_interview_timeout();
  timeout.set_question_id(question_id);
  timeout.set_question(node.label);
  timeout.set_stage(node.id);
  timeout.set_duration_ms(static_cast<std::uint64_t>((now_ - state_.cursor.asked_at).count()));
  emit_.Emit(event);
  const Choice choice = DefaultChoice(graph_, node);
  if (!choice.selected.empty()) return EndAttempt(OutcomeOf(graph_, node, choice, ""));
  Outcome outcome;
  outcome.status = OutcomeStatus::kRetry;
  outcome.failure =
      Failure{.message = StrCat("no answer to ", question_id, " within ", Seconds(*node.timeout)),
              .failure_class = FailureClass::kTransientInfra};
  EndAttempt(std::move(outcome));
}

void Decider::EndAttempt(Outcome outcome) {
  const Node& node = core_.node();
  if (IsRetryable(outcome) && state_.cursor.attempt < max_attempts()) return Retry(FailureOf(outcome, node));
  if (outcome.status == OutcomeStatus::kRetry) {
    outcome.failure = FailureOf(outcome, node);
    const bool partial = node.allow_partial && MayBeLenient(node);
    outcome.status = partial ? OutcomeStatus::kPartialSuccess : OutcomeStatus::kFail;
  }
  if (node.auto_status && MayBeLenient(node) && outcome.status != OutcomeStatus::kSkipped) {
    outcome.status = OutcomeStatus::kSuccess;
  }
  EndStage(std::move(outcome));
}

void Decider::Retry(const Failure& failure) {
  const RetryPlan plan = RetryPlanFor(graph_, core_.node());
  const milliseconds delay = RetryDelay(plan, state_.cursor.retries, random_.NextUnit());
  emit_.StageFailed(failure, true, max_attempts());
  emit_.StageRetrying(state_.cursor.attempt + 1, max_attempts(), delay);
  if (delay > kMaxDelayInSlot || state_.status == RunStatus::kPaused) {
    ParkRun();
  } else {
    NeedSlot();
  }
}

void Decider::EndStage(Outcome outcome) {
  const Node& node = core_.node();
  StateDelta delta;
  // The text of an earlier answer must not be taken for this one's.
  constexpr std::string_view kGateText = "human.gate.text";
  if (node.kind == NodeKind::kHuman && !outcome.context_updates.contains(kGateText) &&
      state_.context.contains(kGateText)) {
    delta.add_context_removed(std::string(kGateText));
  }
  for (auto& [key, value] : outcome.context_updates) {
    internal::v1::ContextEntry& entry = *delta.add_context_updates();
    entry.set_key(key);
    entry.set_value(std::move(value));
  }
  if (outcome.status == OutcomeStatus::kFail) {
    outcome.failure = FailureOf(outcome, node);
    delta.set_preferred_label(outcome.preferred_label);
    delta.set_notes(outcome.notes);
    emit_.StageFailed(*outcome.failure, false, max_attempts(), delta);
    if (FailedInCircles(outcome.failure->failure_class)) return;
  } else {
    emit_.StageCompleted(outcome, max_attempts(), delta);
  }
  if (node.kind == NodeKind::kConditional) {  // transparent: the run is routed by the stage before it
    outcome.status = state_.last.status;
    outcome.preferred_label = state_.last.preferred_label;
    outcome.failure = state_.last.failure;
  }
  LeaveStage(outcome);
}

bool Decider::FailedInCircles(FailureClass failure_class) {
  const std::string& signature = state_.last.failure_signature;
  const int limit = graph_.loop_restart_signature_limit;
  if (!CountsInBreaker(failure_class) || !Reached(state_.loop_failures, signature, limit)) return false;
  FailRun(StrCat("deterministic failure cycle detected: signature ", signature, " repeated ",
                 state_.loop_failures.find(signature)->second, " times (limit ", limit, ")"));
  return true;
}

void Decider::LeaveStage(const Outcome& outcome) {
  const Node& node = core_.node();
  const ContextView context(core_.seed, state_);
  const RouteRequest request{.status = outcome.status,
                             .preferred_label = outcome.preferred_label,
                             .suggested_next_ids = outcome.suggested_next_ids};
  if (const std::optional<Route> route = ChooseEdge(graph_, node, request, context, random_)) {
    emit_.EdgeSelected(node, graph_.to(*route->edge), route->edge, route->reason, outcome);
    if (route->edge->loop_restart && !RestartLoop(*route->edge)) return;
  } else if (outcome.status == OutcomeStatus::kFail) {
    const Node* target = RetryTargetOf(graph_, node);
    if (target == nullptr) {
      const std::string_view reason = outcome.failure ? outcome.failure->message : std::string_view();
      return FailRun(StrCat("stage ", node.id, " failed with no outgoing fail edge",
                            reason.empty() ? "" : ": ", TruncateUtf8(reason, kMaxKeptMessage)));
    }
    emit_.EdgeSelected(node, *target, nullptr, EdgeReason::kRetryTarget, outcome);
  }
  emit_.CheckpointCompleted(node, outcome.status);
  GoOn();
}

bool Decider::RestartLoop(const workflow::Edge& edge) {
  const std::optional<Failure>& failure = state_.last.failure;
  if (failure && failure->failure_class != FailureClass::kTransientInfra) {
    FailRun(StrCat("loop_restart blocked: failure_class=", ToString(failure->failure_class),
                   " (requires transient_infra)"));
    return false;
  }
  const std::string signature = state_.last.failure_signature;
  v1::Event event = emit_.MakeEvent();
  event.mutable_loop_restart()->set_from_node(graph_.from(edge).id);
  event.mutable_loop_restart()->set_to_node(graph_.to(edge).id);
  emit_.Emit(event);
  const int limit = graph_.loop_restart_signature_limit;
  if (Reached(state_.restart_failures, signature, limit)) {
    FailRun(StrCat("restart failure cycle detected: signature ", signature, " repeated ",
                   state_.restart_failures.find(signature)->second, " times (limit ", limit, ")"));
    return false;
  }
  emit_.RunStarted();  // clients know the new round by it
  return true;
}

void Decider::CompleteRun() {
  if (const Node* gate = FindUnsatisfiedGate(graph_, state_)) {
    const Node* target = RetryTargetOf(graph_, *gate);
    if (target == nullptr || target->kind == NodeKind::kExit) {  // from the exit to itself there is no way on
      return FailRun(StrCat("goal gate unsatisfied for node ", gate->id, " and no retry target"));
    }
    Outcome outcome;
    outcome.status = state_.nodes[gate->index].outcome->status;
    emit_.EdgeSelected(core_.node(), *target, nullptr, EdgeReason::kRetryTarget, outcome);
    return GoOn();
  }
  const LastStage& last = state_.last;
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
  emit_.Emit(event);
  output_.effects.emplace_back(RunFinished{});
}

void Decider::FailRun(std::string error) {
  v1::Event event = emit_.MakeEvent();
  event.mutable_workflow_run_failed()->set_error(std::move(error));
  event.mutable_workflow_run_failed()->set_duration_ms(emit_.RunDurationMs());
  emit_.Emit(event);
  output_.effects.emplace_back(RunFinished{});
}

}  // namespace fabro::engine
