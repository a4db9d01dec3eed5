// The stages that a run's actor has in hand.
#include <algorithm>
#include <utility>

#include "core/runtime/execution.h"
#include "core/runtime/run_actor.h"

namespace fabro::runtime {

using std::chrono::milliseconds;

// Each piece of output waits until it is durable before the stage is read further.
class RunActor::OutputSink final : public stages::StageOutputSink {
 public:
  OutputSink(RunActor& actor, engine::ExecutionId execution) : actor_(actor), execution_(execution) {}

  Task<void> Write(bool is_stderr, std::string text) override {
    engine::StageOutput output;
    output.execution = execution_;
    output.stream = is_stderr ? engine::StageOutput::Stream::kStderr : engine::StageOutput::Stream::kStdout;
    output.text = std::move(text);
    Message message;
    message.body = engine::Input(std::move(output));
    message.reply = std::make_shared<Reply>();
    const std::shared_ptr<Reply> reply = message.reply;
    const absl::Status sent = co_await actor_.inbox_.Send(std::move(message));
    if (sent.ok())
      (void)co_await reply->done.Wait();  // a run that is over takes no output: nothing to do about it
  }

 private:
  RunActor& actor_;
  const engine::ExecutionId execution_;
};

bool RunActor::IsAnyStopping() const {
  return std::ranges::any_of(executions_, [](const auto& entry) { return entry.second->stopping; });
}

void RunActor::Execute(const engine::ExecuteStage& effect) {
  if (waits_for_the_dying_ && IsAnyStopping()) return held_.push_back(effect);
  waits_for_the_dying_ = false;
  auto execution = std::make_shared<Execution>();
  execution->id = effect.execution;
  execution->last_sign = work_.time.Steady();
  stages::StageRequest& request = execution->request;
  request.run = id_;
  request.workflow_name = row_.workflow_name;
  request.goal = row_.goal;
  request.node = effect.node;
  request.stage_id = effect.stage_id;
  request.visit = effect.visit;
  request.attempt = effect.attempt;
  request.stages_ended = effect.stages_ended;
  request.branch = effect.branch;
  request.outer_branches = effect.outer_branches;
  request.adopt_branch = effect.adopt_branch;
  request.restore_sha = effect.restore_sha;
  request.prepared = effect.prepared;
  request.traceparent = effect.traceparent;
  request.fidelity = effect.fidelity;
  request.thread_id = effect.thread_id;
  request.preamble = effect.preamble;
  request.text = effect.text;
  request.work_dir = work_dir_;
  request.settings = settings_;
  request.environment = work_.stage_environment;
  for (const auto& variable : effect.environment) request.environment.push_back(variable);
  if (effect.timeout) request.timeout = *effect.timeout;
  executions_.emplace(execution->id, execution);
  execution->stage = stage_scope_.Spawn("stage", RunStage(execution));
  Watch(execution);
}

Task<void> RunActor::RunStage(std::shared_ptr<Execution> execution) {
  OutputSink sink(*this, execution->id);
  engine::StageFinished finished;
  finished.execution = execution->id;
  finished.outcome = co_await work_.stages.Run(execution->request, &sink);
  Message message;
  message.body = engine::Input(std::move(finished));
  inbox_.SendBeyondCapacity(std::move(message));
}

void RunActor::StopExecution(engine::ExecutionId id) {
  const auto found = executions_.find(id);
  if (found == executions_.end()) return;
  found->second->stopping = true;
  found->second->stage.Cancel();
}

void RunActor::ForgetExecution(engine::ExecutionId id) {
  const auto found = executions_.find(id);
  if (found == executions_.end()) return;
  found->second->watch.Cancel();
  executions_.erase(found);
  if (waits_for_the_dying_ && !IsAnyStopping()) {
    waits_for_the_dying_ = false;
    for (const engine::ExecuteStage& effect : std::exchange(held_, {})) {
      if (!suspending_ && machine_->IsExecuting(effect.execution)) Execute(effect);
    }
  }
  if (slot_is_due_) GiveSlotBack();
}

// Whatever happens in a run counts for all of its stages.
void RunActor::NoteSignOfLife() {
  for (const auto& [id, execution] : executions_) execution->last_sign = work_.time.Steady();
}

void RunActor::Watch(const std::shared_ptr<Execution>& execution) {
  const milliseconds limit = machine_->stall_timeout();
  if (limit.count() <= 0) return;
  execution->watch = stage_scope_.Spawn("stall watchdog", WatchForStall(execution, limit));
}

Task<void> RunActor::WatchForStall(std::shared_ptr<Execution> execution, milliseconds limit) {
  while (true) {
    const auto idle =
        std::chrono::duration_cast<milliseconds>(work_.time.Steady() - execution->last_sign.load());
    if (idle >= limit) {
      Message message;
      message.body = StageSilent{execution->id};
      inbox_.SendBeyondCapacity(std::move(message));
      co_return;
    }
    const absl::Status slept = co_await work_.time.Sleep(limit - idle);
    if (!slept.ok()) co_return;
  }
}

// What the watchdog saw may be over: the stage has ended by now, or its output waited for a disk that was
// full.
void RunActor::ApplySilence(engine::ExecutionId id, Batch& batch) {
  const auto found = executions_.find(id);
  if (found == executions_.end()) return;
  const auto idle =
      std::chrono::duration_cast<milliseconds>(work_.time.Steady() - found->second->last_sign.load());
  if (idle < machine_->stall_timeout()) return Watch(found->second);
  engine::Stalled stalled;
  stalled.execution = id;
  stalled.idle = std::chrono::duration_cast<std::chrono::seconds>(idle);
  ApplyInput(engine::Input(stalled), nullptr, batch);
}

}  // namespace fabro::runtime
