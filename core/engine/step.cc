// A course's way through the graph: enter a node, run its stage with retries, choose the next edge.
#include <algorithm>
#include <utility>

#include "core/base/strings.h"
#include "core/engine/branches.h"
#include "core/engine/child.h"
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

// Steps in a row that need nothing from outside. More of them are a circle that nothing would ever end.
constexpr std::uint32_t kMaxInstantSteps = 10'000;
// How often a stage may be in hand when its server ends before the stage itself is to blame.
constexpr std::uint32_t kMaxInterrupted = 10;

// An unanswered gate never passes, whatever the node's attributes say.
bool MayBeLenient(const Node& node) { return node.kind != NodeKind::kHuman; }

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
  if (!IsRunning()) return;
  if (cursor().phase == Phase::kFinishing) return CompleteRun();
  if (cursor().phase == Phase::kParallel) return BeginBranches();
  if (cursor().phase == Phase::kChild && !cursor().child_started && core_.has_slot) return StartChildRun();
  if (cursor().phase != Phase::kReady || !core_.has_slot) return;
  if (!IsStepByItself()) EnterNode();  // else in the next step
}

bool Decider::IsInstantHere() {
  switch (node().kind) {
    case NodeKind::kStart:
    case NodeKind::kExit:
    case NodeKind::kConditional:
      return true;
    case NodeKind::kFanIn:
      return AdoptedBranch(core_, frame()).empty();
    case NodeKind::kAgent:
    case NodeKind::kPrompt:
      return core_.seed.simulate_models;
    default:
      return false;
  }
}

bool Decider::IsStepByItself() { return node().kind == NodeKind::kParallel || IsInstantHere(); }

void Decider::EnterNode() {
  const Node& node = this->node();
  if (node.kind == NodeKind::kExit) return CompleteRun();
  if (FailedInEndlessCircle()) return;
  if (IsInstantHere()) return RunInstantStage();
  if (node.kind == NodeKind::kParallel) return StartBranches();
  StartAttempt();
}

bool Decider::FailedInEndlessCircle() {
  const Node& node = this->node();
  if (frame().instant_steps >= kMaxInstantSteps) {
    FailRun(StrCat("node \"", node.id, "\": ", kMaxInstantSteps,
                   " steps in a row needed nothing from outside; run is stuck in a cycle"));
    return true;
  }
  const int limit = node.max_visits.value_or(graph_.max_node_visits);
  const std::uint32_t visits = state_.nodes[node.index].visits;
  if (limit <= 0 || visits < static_cast<std::uint32_t>(limit)) return false;
  FailRun(StrCat("node \"", node.id, "\" visited ", visits, " times (", node.max_visits ? "node" : "graph",
                 " limit ", limit, "); run is stuck in a cycle"));
  return true;
}

void Decider::RunInstantStage() {
  const Node& node = this->node();
  StartAttempt();
  Outcome outcome;
  if (node.kind == NodeKind::kConditional) {
    outcome.notes = StrCat("Conditional node evaluated: ", node.id);
  } else if (node.kind == NodeKind::kFanIn) {
    outcome = FanInOutcome(graph_, node, frame().results);
  } else if (node.kind != NodeKind::kStart) {
    outcome.notes = StrCat("[Simulated] ", node.id);
    const std::string response = JsonString(StrCat("[Simulated] Response for stage: ", node.id));
    outcome.context_updates.emplace("last_response", response);
    outcome.context_updates.emplace(StrCat("response.", node.id), response);
  }
  EndStage(std::move(outcome));
}

std::uint32_t Decider::max_attempts() {
  const Node& node = this->node();
  const bool only_once = IsStepByItself() || node.kind == NodeKind::kWait;
  return (only_once ? 1 : RetryPlanFor(graph_, node).max_attempts) + cursor().interrupted;
}

void Decider::StartAttempt() {
  const Node& node = this->node();
  const bool instant = IsStepByItself();
  StateDelta delta;
  delta.set_instant(instant);
  if (node.kind == NodeKind::kManagerLoop) delta.set_child_run(NewChildId(now_, random_).ToString());
  if (cursor().phase == Phase::kReady) {
    emit_.StageStarted(1, max_attempts(), std::move(delta));
  } else {
    const std::uint32_t cut_short = cursor().phase == Phase::kExecuting ? 1 : 0;
    emit_.StageStarted(cursor().attempt + 1, max_attempts() + cut_short, std::move(delta));
  }
  if (instant || node.kind == NodeKind::kWait) return;
  if (node.kind == NodeKind::kHuman) return Ask();
  if (node.kind == NodeKind::kManagerLoop) return StartChildRun();
  core_.executing.emplace(cursor().execution, at_);
  output_.effects.emplace_back(MakeStageRequest(core_, frame(), max_attempts()));
}

void Decider::Ask() {
  v1::Event event = emit_.MakeEvent();
  v1::InterviewStarted& asked = *event.mutable_interview_started();
  asked.set_question_id(QuestionIdOf(state_.questions_asked + 1));
  asked.set_question(node().label);
  asked.set_stage(node().id);
  asked.set_question_type(ToProto(workflow::QuestionTypeOf(graph_, node())));
  emit_.Emit(event);
}

// A stage that takes its server down with it each time would do so for ever.
void Decider::RepeatLostAttempt() {
  if (cursor().interrupted + 1 < kMaxInterrupted) return StartAttempt();
  Outcome outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = Failure{.message = StrCat("the server ended ", kMaxInterrupted, " times while the stage ",
                                              node().id, " ran; it is not tried again"),
                            .failure_class = FailureClass::kStructural};
  EndStage(std::move(outcome));
}

void Decider::AskTimeout() {
  const Node& node = this->node();
  const std::string question_id = QuestionIdOf(cursor().question);
  v1::Event event = emit_.MakeEvent();
  v1::InterviewTimeout& timeout = *event.mutable_interview_timeout();
  timeout.set_question_id(question_id);
  timeout.set_question(node.label);
  timeout.set_stage(node.id);
  timeout.set_duration_ms(static_cast<std::uint64_t>((now_ - cursor().asked_at).count()));
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
  const Node& node = this->node();
  if (node.kind == NodeKind::kFanIn && outcome.status == OutcomeStatus::kSuccess) {  // its files are there
    Outcome chosen = FanInOutcome(graph_, node, frame().results);
    outcome.status = chosen.status;
    outcome.context_updates.merge(chosen.context_updates);
  }
  if (IsRetryable(outcome) && cursor().attempt < max_attempts()) return Retry(FailureOf(outcome, node));
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
  const RetryPlan plan = RetryPlanFor(graph_, node());
  const milliseconds delay = RetryDelay(plan, cursor().retries, random_.NextUnit());
  emit_.StageFailed(failure, true, max_attempts());
  emit_.StageRetrying(cursor().attempt + 1, max_attempts(), delay);
}

void Decider::EndStage(Outcome outcome) {
  const Node& node = this->node();
  StateDelta delta;
  // The text of an earlier answer must not be taken for this one's.
  constexpr std::string_view kGateText = "human.gate.text";
  if (node.kind == NodeKind::kHuman && !outcome.context_updates.contains(kGateText) &&
      FindValue(state_, frame(), kGateText) != nullptr) {
    delta.add_context_removed(std::string(kGateText));
  }
  for (auto& [key, value] : outcome.context_updates) {
    internal::v1::ContextEntry& entry = *delta.add_context_updates();
    entry.set_key(key);
    if (std::optional<Artifact> artifact = TakeArtifact(value)) {
      artifact->key = key;
      artifact->stage_id = StageIdOf(graph_, state_.stages[cursor().stage]);
      artifact->at = now_;
      output_.artifacts.push_back(*std::move(artifact));
      entry.set_artifact(true);
    }
    entry.set_value(std::move(value));
  }
  if (outcome.status == OutcomeStatus::kFail) {
    outcome.failure = FailureOf(outcome, node);
    delta.set_preferred_label(outcome.preferred_label);
    delta.set_notes(outcome.notes);
    emit_.StageFailed(*outcome.failure, false, max_attempts(), std::move(delta));
    if (FailedInCircles(outcome.failure->failure_class)) return;
  } else {
    emit_.StageCompleted(outcome, max_attempts(), std::move(delta));
  }
  if (node.kind == NodeKind::kConditional) {  // transparent: the run is routed by the stage before it
    const LastStage& last = LastOf(state_, frame());
    outcome.status = last.status;
    outcome.preferred_label = last.preferred_label;
    outcome.failure = last.failure;
  }
  if (!outcome.git_commit_sha.empty()) emit_.GitCommit(node, outcome.git_commit_sha);
  LeaveStage(outcome);
}

bool Decider::FailedInCircles(FailureClass failure_class) {
  const std::string& signature = frame().last.failure_signature;
  const int limit = graph_.loop_restart_signature_limit;
  if (!CountsInBreaker(failure_class) || !Reached(state_.loop_failures, signature, limit)) return false;
  FailRun(StrCat("deterministic failure cycle detected: signature ", signature, " repeated ",
                 state_.loop_failures.find(signature)->second, " times (limit ", limit, ")"));
  return true;
}

void Decider::LeaveStage(const Outcome& outcome) {
  const Node& node = this->node();
  const ContextView context(core_.seed, state_, frame());
  const RouteRequest request{.status = outcome.status,
                             .preferred_label = outcome.preferred_label,
                             .suggested_next_ids = outcome.suggested_next_ids};
  if (node.kind == NodeKind::kParallel && !node.out.empty()) {  // its edges are the branches
    emit_.EdgeSelected(node, graph_.nodes[node.join], nullptr, EdgeReason::kJump, outcome);
  } else if (const std::optional<Route> route = ChooseEdge(graph_, node, request, context, random_)) {
    if (!TakeEdge(*route->edge, route->reason, outcome)) return;
  } else if (outcome.status == OutcomeStatus::kFail && !FollowFailure(outcome)) {
    return;
  }
  emit_.CheckpointCompleted(node, outcome);
  const bool leads_on = cursor().phase == Phase::kReady;
  if (at_ != 0 && (!leads_on || IsWayOut(cursor().node))) return EndBranch(StatusOf(frame()));
  GoOn();
}

bool Decider::TakeEdge(const workflow::Edge& edge, EdgeReason reason, const Outcome& outcome) {
  emit_.EdgeSelected(graph_.from(edge), graph_.to(edge), &edge, reason, outcome);
  if (!edge.loop_restart) return true;
  if (at_ == 0) return RestartLoop(edge);
  FailRun(StrCat("loop_restart from ", graph_.from(edge).id, " to ", graph_.to(edge).id,
                 ": a parallel branch cannot start the run over"));
  return false;
}

// False: the run failed. A branch may just end.
bool Decider::FollowFailure(const Outcome& outcome) {
  const Node& node = this->node();
  const Node* target = at_ == 0 ? RetryTargetOf(graph_, node) : BranchRetryTargetOf(graph_, node);
  if (target != nullptr) {
    emit_.EdgeSelected(node, *target, nullptr, EdgeReason::kRetryTarget, outcome);
    return true;
  }
  if (at_ != 0) return true;
  const std::string_view reason = outcome.failure ? outcome.failure->message : std::string_view();
  FailRun(StrCat("stage ", node.id, " failed with no outgoing fail edge", reason.empty() ? "" : ": ",
                 TruncateUtf8(reason, kMaxKeptMessage)));
  return false;
}

bool Decider::RestartLoop(const workflow::Edge& edge) {
  const std::optional<Failure>& failure = frame().last.failure;
  if (failure && failure->failure_class != FailureClass::kTransientInfra) {
    FailRun(StrCat("loop_restart blocked: failure_class=", ToString(failure->failure_class),
                   " (requires transient_infra)"));
    return false;
  }
  const std::string signature = frame().last.failure_signature;
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
  emit_.RunStarted(false);  // clients know the new round by it
  return true;
}

}  // namespace fabro::engine
