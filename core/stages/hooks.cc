#include "core/stages/hooks.h"

#include <re2/re2.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/hooks.h"

namespace fabro::stages {
namespace {

bool CanBeStopped(config::HookEvent event) {
  return event == config::HookEvent::kRunStart || event == config::HookEvent::kStageStart ||
         event == config::HookEvent::kStageComplete;
}

// A matcher is for stages: their node's id or kind. One that is no expression, which those who take hooks
// refuse, concerns everything, so that what it should have guarded is guarded.
bool Matches(const config::Hook& hook, const Occasion& occasion) {
  if (hook.event != occasion.event) return false;
  if (hook.matcher.empty() || occasion.node_id.empty()) return true;
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 matcher(hook.matcher, options);
  if (!matcher.ok()) return true;
  return RE2::PartialMatch(occasion.node_id, matcher) || RE2::PartialMatch(occasion.node_kind, matcher);
}

std::string NameOf(const config::Hook& hook, std::size_t index) {
  return hook.name.empty() ? StrCat("hooks[", index, ']') : hook.name;
}

void LogFailure(const std::string& name, const Occasion& occasion, const Verdict& verdict) {
  log::Warn("a hook failed or said no where nothing waits for its word; see to the hook, the run goes on",
            {{"run", occasion.run},
             {"hook", name},
             {"event", config::ToString(occasion.event)},
             {"stage", occasion.stage_id},
             {"reason", verdict.reason}});
}

}  // namespace

bool Hooks::Concern(const config::RunSettings& settings, config::HookEvent event) {
  return std::ranges::any_of(settings.hooks,
                             [event](const config::Hook& hook) { return hook.event == event; });
}

Task<absl::StatusOr<Verdict>> Hooks::Fire(Occasion occasion) {
  const std::shared_ptr<const config::RunSettings> settings = occasion.settings;
  for (std::size_t index = 0; index < settings->hooks.size(); ++index) {
    const config::Hook& hook = settings->hooks[index];
    if (!Matches(hook, occasion)) continue;
    const std::string name = NameOf(hook, index);
    if (!hook.blocking) {
      Call call{hook, name, occasion};
      Begin(std::move(call));
      continue;
    }
    FABRO_CO_ASSIGN_OR_RETURN(Verdict verdict, co_await caller_.Call(hook, occasion));
    if (verdict.kind == Verdict::Kind::kGoOn) continue;
    if (!CanBeStopped(occasion.event)) {
      LogFailure(name, occasion, verdict);
      continue;
    }
    // What cannot be left out alone is stopped instead.
    if (occasion.event != config::HookEvent::kStageStart) verdict.kind = Verdict::Kind::kBlock;
    verdict.reason = StrCat("hook \"", name, "\" (", config::ToString(occasion.event), "): ", verdict.reason);
    co_return verdict;
  }
  co_return Verdict();
}

void Hooks::Begin(Call call) {
  const RunId run = call.occasion.run;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    Beside& beside = beside_[run];
    if (beside.running < kBeside) {
      ++beside.running;
      const std::uint64_t worker = ++last_worker_;
      std::string name = StrCat("hook ", call.name);
      beside.workers.emplace(worker, scope_.Spawn(std::move(name), Work(std::move(call), worker)));
      return;
    }
    if (beside.waiting.size() < kWaiting) {
      beside.waiting.push_back(std::move(call));
      return;
    }
  }
  log::Warn("a hook was left out: its run has too many calls waiting; make it faster, or match fewer stages",
            {{"run", run}, {"hook", call.name}, {"event", config::ToString(call.occasion.event)}});
}

Task<void> Hooks::Work(Call call, std::uint64_t worker) {
  const RunId run = call.occasion.run;
  while (true) {
    const absl::StatusOr<Verdict> verdict = co_await caller_.Call(std::move(call.hook), call.occasion);
    if (verdict.ok() && verdict->kind != Verdict::Kind::kGoOn) LogFailure(call.name, call.occasion, *verdict);
    std::optional<Call> next = Next(run, worker);
    if (!next) co_return;
    call = *std::move(next);
  }
}

std::optional<Hooks::Call> Hooks::Next(RunId run, std::uint64_t worker) {
  std::vector<std::shared_ptr<Waiter>> joiners;
  {
    MutexLock lock(&mutex_);
    const auto found = beside_.find(run);
    Beside& beside = found->second;
    if (!beside.waiting.empty()) {
      Call next = std::move(beside.waiting.front());
      beside.waiting.pop_front();
      return next;
    }
    beside.workers.erase(worker);
    if (--beside.running > 0) return std::nullopt;
    joiners = std::move(beside.joiners);
    beside_.erase(found);
  }
  for (const auto& joiner : joiners) joiner->Complete(absl::OkStatus());
  return std::nullopt;
}

Task<void> Hooks::Join(RunId run, bool give_up) {
  auto ended = std::make_shared<Waiter>();
  {
    MutexLock lock(&mutex_);
    const auto found = beside_.find(run);
    if (found == beside_.end()) co_return;
    found->second.joiners.push_back(ended);
  }
  if (give_up) GiveUp(run);
  auto on_cancel = [this, run] { GiveUp(run); };
  (void)co_await ended->WaitOrAbort(std::move(on_cancel));
}

void Hooks::GiveUp(RunId run) {
  std::vector<TaskHandle> workers;
  {
    MutexLock lock(&mutex_);
    const auto found = beside_.find(run);
    if (found == beside_.end()) return;
    found->second.waiting.clear();
    for (const auto& [id, worker] : found->second.workers) workers.push_back(worker);
  }
  for (const TaskHandle& worker : workers) worker.Cancel();
}

void Hooks::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    for (auto& [run, beside] : beside_) beside.waiting.clear();
  }
  scope_.Cancel();
  scope_.JoinBlocking();
}

}  // namespace fabro::stages
