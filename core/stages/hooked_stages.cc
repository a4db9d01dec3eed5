#include "core/stages/hooked_stages.h"

#include <chrono>
#include <utility>

#include "core/base/strings.h"

namespace fabro::stages {
namespace {

using config::HookEvent;
using engine::FailureClass;
using engine::Outcome;
using engine::OutcomeStatus;
using std::chrono::milliseconds;

bool HasStageHooks(const config::RunSettings& settings) {
  return Hooks::Concern(settings, HookEvent::kStageStart) ||
         Hooks::Concern(settings, HookEvent::kStageComplete) ||
         Hooks::Concern(settings, HookEvent::kStageFailed);
}

Occasion OccasionOf(const StageRequest& request) {
  Occasion occasion;
  occasion.event = HookEvent::kStageStart;
  occasion.run = request.run;
  occasion.workflow_name = request.workflow_name;
  occasion.goal = request.goal;
  occasion.work_dir = request.work_dir;
  occasion.traceparent = request.traceparent;
  occasion.settings = request.settings;
  occasion.node_id = request.node->id;
  occasion.node_label = request.node->label;
  occasion.node_kind = workflow::ToString(request.node->kind);
  occasion.stage_id = request.stage_id;
  occasion.attempt = request.attempt;
  return occasion;
}

Outcome Failed(FailureClass failure_class, std::string message) {
  Outcome outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = engine::Failure{std::move(message), failure_class};
  return outcome;
}

Outcome WasCancelled() { return Failed(FailureClass::kCanceled, "the stage was cancelled"); }

bool IsFailure(const Outcome& outcome) {
  return outcome.status == OutcomeStatus::kFail || outcome.status == OutcomeStatus::kRetry;
}

bool IsCancelled(const Outcome& outcome) {
  return outcome.failure && outcome.failure->failure_class == FailureClass::kCanceled;
}

}  // namespace

Task<Outcome> HookedStages::Run(StageRequest request, StageOutputSink* sink) {
  if (request.settings == nullptr || !HasStageHooks(*request.settings)) {
    co_return co_await work_.Run(std::move(request), sink);
  }
  const auto begun = std::chrono::steady_clock::now();
  Occasion occasion = OccasionOf(request);
  Outcome outcome = co_await Work(std::move(request), occasion, sink);
  if (IsCancelled(outcome)) co_return outcome;
  occasion.duration = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
  if (!IsFailure(outcome)) {
    occasion.event = HookEvent::kStageComplete;
    occasion.status = engine::ToString(outcome.status);
    outcome = co_await Judge(occasion, std::move(outcome));
  }
  if (!IsFailure(outcome) || IsCancelled(outcome)) co_return outcome;
  occasion.event = HookEvent::kStageFailed;
  occasion.status = engine::ToString(outcome.status);
  if (outcome.failure) {
    occasion.failure = outcome.failure->message;
    occasion.failure_class = engine::ToString(outcome.failure->failure_class);
  }
  const absl::StatusOr<Verdict> told = co_await hooks_.Fire(std::move(occasion));
  co_return told.ok() ? outcome : WasCancelled();
}

Task<Outcome> HookedStages::Work(StageRequest request, Occasion occasion, StageOutputSink* sink) {
  const absl::StatusOr<Verdict> verdict = co_await hooks_.Fire(std::move(occasion));
  if (!verdict.ok()) co_return WasCancelled();
  if (verdict->kind == Verdict::Kind::kBlock) {
    co_return Failed(FailureClass::kDeterministic, verdict->reason);
  }
  if (verdict->kind == Verdict::Kind::kSkip) {
    Outcome skipped;
    skipped.status = OutcomeStatus::kSkipped;
    skipped.notes = StrCat("Skipped by ", verdict->reason);
    co_return skipped;
  }
  co_return co_await work_.Run(std::move(request), sink);
}

// What the stage has said about the context stays; where it wanted to go counts no more.
Task<Outcome> HookedStages::Judge(Occasion occasion, Outcome outcome) {
  const absl::StatusOr<Verdict> verdict = co_await hooks_.Fire(std::move(occasion));
  if (!verdict.ok()) co_return WasCancelled();
  if (verdict->kind == Verdict::Kind::kGoOn) co_return outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = engine::Failure{verdict->reason, FailureClass::kDeterministic};
  outcome.preferred_label.clear();
  outcome.suggested_next_ids.clear();
  co_return outcome;
}

}  // namespace fabro::stages
