// What a run's actor has done beside its stages: the preparation, child runs, and what follows the end.
#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/runtime/run_actor.h"

namespace fabro::runtime {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kErrandRetry{500};

bool MayPass(const absl::Status& status) {
  if (ReasonOf(status) == Reason::kDraining) return false;  // the next start will see to it
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

bool MayPassLater(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsCancelled(status);
}

}  // namespace

// Each step waits until it is durable before the preparation goes on.
class RunActor::PreparationSink final : public stages::PreparationSink {
 public:
  explicit PreparationSink(RunActor& actor) : actor_(actor) {}

  Task<void> Tell(engine::PreparationStep step) override {
    engine::PreparationTold told;
    told.step = std::move(step);
    Message message;
    message.body = engine::Input(std::move(told));
    message.reply = std::make_shared<Reply>();
    const std::shared_ptr<Reply> reply = message.reply;
    const absl::Status sent = co_await actor_.inbox_.Send(std::move(message));
    if (sent.ok()) (void)co_await reply->done.Wait();  // of a run that is over nothing more is told
  }

 private:
  RunActor& actor_;
};

bool RunActor::PerformErrand(const engine::Effect& effect) {
  if (std::holds_alternative<engine::PrepareRun>(effect)) {
    if (suspending_ || !machine_->IsExecutingPreparation()) return true;
    ++errands_;
    preparation_ = stage_scope_.Spawn("preparation", Report(PrepareRun(Context())));
  } else if (std::holds_alternative<engine::CancelPreparation>(effect)) {
    preparation_.Cancel();
  } else if (const auto* start = std::get_if<engine::StartChild>(&effect)) {
    if (!suspending_) Run("start child", StartChildRun(row_, *start));
  } else if (const auto* check = std::get_if<engine::CheckChild>(&effect)) {
    if (!suspending_) Run("look at child", LookAtChild(*check));
  } else if (const auto* cancel = std::get_if<engine::CancelChild>(&effect)) {
    if (!suspending_) Run("cancel child", CancelChildRun(cancel->child));
  } else {
    return false;
  }
  return true;
}

void RunActor::Run(const char* name, Task<ErrandEnded> errand) {
  ++errands_;
  stage_scope_.Spawn(name, Report(std::move(errand)));
}

Task<void> RunActor::Report(Task<ErrandEnded> errand) {
  ErrandEnded ended = co_await std::move(errand);
  Message message;
  message.body = std::move(ended);
  inbox_.SendBeyondCapacity(std::move(message));
}

void RunActor::ApplyErrandEnd(ErrandEnded ended, Batch& batch) {
  --errands_;
  if (ended.aftermath) aftermath_done_ = true;
  if (ended.result) {
    // A child that nobody waits for any more may just have been made.
    if (const auto* started = std::get_if<engine::ChildStarted>(&*ended.result)) {
      const std::vector<RunId> abandoned = machine_->AbandonedChildren();
      if (std::ranges::find(abandoned, started->child) != abandoned.end() && !suspending_) {
        Run("cancel child", CancelChildRun(started->child));
      }
    }
    ApplyInput(*ended.result, nullptr, batch);
  }
  if (slot_is_due_) GiveSlotBack();
}

Task<ErrandEnded> RunActor::PrepareRun(stages::RunContext context) {
  PreparationSink sink(*this);
  engine::RunPrepared done;
  done.prepared = co_await work_.preparer->Prepare(std::move(context), &sink);
  ErrandEnded ended;
  ended.result = engine::Input(std::move(done));
  co_return ended;
}

Task<ErrandEnded> RunActor::StartChildRun(storage::RunRow row, engine::StartChild child) {
  ErrandEnded ended;
  while (true) {
    absl::StatusOr<std::string> start = co_await family_.StartChild(row, child);
    if (start.ok()) {
      engine::ChildStarted started;
      started.child = child.child;
      started.start_node = *std::move(start);
      ended.result = engine::Input(std::move(started));
      co_return ended;
    }
    if (!MayPassLater(start.status())) {
      engine::ChildRefused refused;
      refused.child = child.child;
      refused.failure.message = std::string(MessageOf(start.status()));
      refused.failure.failure_class = engine::FailureClass::kStructural;
      ended.result = engine::Input(std::move(refused));
      co_return ended;
    }
    if (!MayPass(start.status())) co_return ended;  // stopping: the next start tries again
    const absl::Status slept = co_await work_.time.Sleep(kErrandRetry);
    if (!slept.ok()) co_return ended;
  }
}

Task<ErrandEnded> RunActor::LookAtChild(engine::CheckChild child) {
  ErrandEnded ended;
  absl::StatusOr<engine::Input> seen = co_await family_.LookAtChild(child);
  if (seen.ok()) {
    ended.result = *std::move(seen);
  } else if (absl::IsNotFound(seen.status())) {
    engine::ChildRefused gone;
    gone.child = child.child;
    gone.failure.message = "the child run " + child.child.ToString() + " was deleted";
    gone.failure.failure_class = engine::FailureClass::kStructural;
    ended.result = engine::Input(std::move(gone));
  } else if (!MayPassLater(seen.status())) {
    log::Warn("a child run could not be looked at", {{"run", id_}, {"error", seen.status()}});
  }
  co_return ended;  // otherwise the next look
}

Task<ErrandEnded> RunActor::CancelChildRun(RunId child) {
  (void)co_await CancelInTheEnd(child);
  co_return ErrandEnded();
}

// False: the server stops first.
Task<bool> RunActor::CancelInTheEnd(RunId child) {
  while (true) {
    const absl::Status cancelled = co_await family_.CancelChild(child, id_);
    if (cancelled.ok()) co_return true;
    if (!MayPassLater(cancelled)) {
      log::Error("a child run could not be cancelled", {{"run", child}, {"error", cancelled}});
      co_return true;
    }
    if (!MayPass(cancelled)) co_return false;
    const absl::Status slept = co_await work_.time.Sleep(kErrandRetry);
    if (!slept.ok()) co_return false;
  }
}

void RunActor::TellParent() {
  if (!row_.parent) return;
  engine::ChildFinished finished = EndOf(row_);
  finished.start_node = machine_->start_node();
  family_.TellParent(*row_.parent, std::move(finished));
}

stages::RunContext RunActor::Context() const {
  stages::RunContext context;
  context.run = id_;
  context.workflow_name = row_.workflow_name;
  context.goal = row_.goal;
  context.work_dir = work_dir_;
  context.traceparent = machine_->traceparent();
  context.settings = settings_;
  context.start_sha = machine_->restore_sha();
  return context;
}

bool RunActor::NeedsPreparer() const {
  return work_.preparer != nullptr && work_.preparer->IsNeeded(Context());
}

bool RunActor::HasAftermath() const {
  if (aftermath_done_ || !IsTerminal(machine_->status()) || !machine_->started_at()) return false;
  return NeedsPreparer() || !machine_->AbandonedChildren().empty();
}

void RunActor::BeginAftermath() {
  slot_is_due_ = true;
  engine::RunEnd end;
  if (machine_->status() == RunStatus::kFailed) end.how = engine::RunEnd::How::kFailed;
  if (machine_->status() == RunStatus::kCancelled) end.how = engine::RunEnd::How::kCancelled;
  end.error = machine_->error().value_or("");
  engine::Prepared prepared;
  prepared.work_dir = work_dir_;
  if (machine_->prepared()) prepared = *machine_->prepared();
  Run("clean-up", CleanUp(Context(), std::move(prepared), std::move(end), machine_->AbandonedChildren()));
}

Task<ErrandEnded> RunActor::CleanUp(stages::RunContext context, engine::Prepared prepared, engine::RunEnd end,
                                    std::vector<RunId> children) {
  ErrandEnded ended;
  for (const RunId& child : children) {
    const bool cancelled = co_await CancelInTheEnd(child);
    if (!cancelled) co_return ended;
  }
  if (work_.preparer != nullptr && work_.preparer->IsNeeded(context)) {
    co_await work_.preparer->CleanUp(std::move(context), std::move(prepared), std::move(end));
  }
  const bool stopped = co_await IsCancelled();
  ended.aftermath = !stopped;
  co_return ended;
}

}  // namespace fabro::runtime
