#include "core/runtime/run_actor.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/events/event_hub.h"
#include "core/runtime/execution.h"
#include "core/scheduler/timers.h"

namespace fabro::runtime {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStorageRetry{500};

absl::Status Draining(RunId run) {
  return Unavailable(Reason::kDraining, run.ToString(),
                     "The server is shutting down; try again in a moment.");
}

bool MayLoadLater(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

// Nothing was written, and the same commit may succeed later: disk full, read-only, too many waiting.
bool MayCommitLater(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  return (absl::IsUnavailable(status) && reason == Reason::kStorageFailed) ||
         absl::IsResourceExhausted(status);
}

storage::Usage UsageOf(const engine::Output& output) {
  storage::Usage usage;
  usage.runtime = output.spent.runtime;
  for (const engine::StageUsage& call : output.spent.calls) {
    storage::ModelUse& model = usage.models[call.model];
    ++model.stages;
    model.input_tokens += static_cast<std::int64_t>(call.input_tokens);
    model.output_tokens += static_cast<std::int64_t>(call.output_tokens);
    model.cost_nanos += std::llround(call.cost.value_or(0) * 1e9);
  }
  return usage;
}

storage::RetroStats RetroOf(engine::HindsightView view) {
  return {.finished_at = view.finished_at,
          .smoothness = view.smoothness,
          .duration = view.duration,
          .cost_nanos = view.cost ? std::optional(std::llround(*view.cost * 1e9)) : std::nullopt,
          .retries = view.retries,
          .friction_points = view.friction_points,
          .stages_completed = view.stages_completed,
          .stages_failed = view.stages_failed,
          .files_touched = std::move(view.files_touched)};
}

}  // namespace

// What one transaction will hold, and what follows once it is durable.
struct RunActor::Batch {
  EventSeq expected{};
  std::vector<storage::RecordBytes> records;
  std::vector<engine::Effect> effects;
  std::vector<std::pair<std::shared_ptr<Reply>, absl::Status>> replies;
  std::vector<std::shared_ptr<Reply>> callers;  // of the replies, those that people wait for
  std::vector<storage::AppendAudit> audits;
  std::vector<storage::PutArtifact> artifacts;
  storage::Usage used;
  bool wants_continue = false;
};

RunActor::RunActor(const Work& work, Family& family, RunId run, std::function<bool(RunActor&)> retire)
    : work_(work),
      family_(family),
      id_(run),
      retire_(std::move(retire)),
      inbox_(work.limits.inbox),
      stage_scope_(work.executor) {}

RunActor::~RunActor() = default;

void RunActor::Adopt(LoadedRun run) {
  machine_.emplace(std::move(run.machine));
  row_ = std::move(run.row);
  work_dir_ = std::move(run.work_dir);
  settings_ = std::move(run.settings);
}

Task<void> RunActor::Run() {
  absl::Status status = co_await LoadInTheEnd();
  while (status.ok()) {
    absl::StatusOr<Message> message = co_await inbox_.Receive();
    status = message.status();  // not OK: stopped
    if (status.ok()) status = co_await Process(*std::move(message));
    if (status.ok() && HasNothingToDo() && retire_(*this)) {
      // Another actor may own the run by now, so nothing of it is touched any more. The last stage's
      // coroutine has said what it had to say, but may not have returned yet.
      co_await stage_scope_.Join();
      co_return;
    }
  }
  if (retired_while_loading_) co_return;
  if (!absl::IsCancelled(status)) log::Error("run left as it is stored", {{"run", id_}, {"error", status}});
  stage_scope_.Cancel();
  co_await stage_scope_.Join();
  inbox_.Close();
  FailWaiting(absl::IsCancelled(status) ? Draining(id_) : status);
  work_.admission.Leave(id_);
}

// Tries until it works, as long as somebody waits for the run and the failure may pass.
Task<absl::Status> RunActor::LoadInTheEnd() {
  while (!machine_) {
    absl::Status status = co_await Load();
    if (status.ok()) break;
    if (!MayLoadLater(status)) co_return status;
    FailWaiting(status);
    retired_while_loading_ = retire_(*this);
    if (retired_while_loading_) co_return status;
    const absl::Status slept = co_await work_.time.Sleep(kStorageRetry);
    if (!slept.ok()) co_return slept;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> RunActor::Load() {
  FABRO_CO_ASSIGN_OR_RETURN(storage::LoadedRun stored, co_await work_.store.LoadRun(id_));
  crashed_ = stored.row.queue_state == storage::QueueState::kActive;
  aftermath_done_ = IsTerminal(stored.row.status) && !crashed_;
  FABRO_CO_ASSIGN_OR_RETURN(LoadedRun run, Rebuild(std::move(stored), work_.runs_dir));
  Adopt(std::move(run));
  co_return absl::OkStatus();
}

bool RunActor::HasNothingToDo() const {
  if (IsBusy()) return false;
  return suspending_ || !has_slot_;
}

Task<absl::Status> RunActor::Process(Message first) {
  Batch batch;
  batch.expected = machine_->head();
  Apply(std::move(first), batch);
  while (true) {
    for (std::size_t n = 1; n < work_.limits.inputs_per_commit; ++n) {
      std::optional<Message> more = inbox_.TryReceive();
      if (!more) break;
      Apply(*std::move(more), batch);
    }
    for (int step = 0; batch.wants_continue && step < work_.limits.steps_per_commit; ++step) {
      batch.wants_continue = false;
      ApplyInput(engine::Continue{}, nullptr, batch);
    }
    const bool goes_on = batch.wants_continue;
    absl::Status committed = co_await Commit(batch);
    if (!committed.ok()) {
      const absl::Status told = absl::IsCancelled(committed) ? Draining(id_) : committed;
      for (auto& [reply, refusal] : batch.replies) reply->done.Complete(told);
      co_return committed;
    }
    if (!batch.records.empty()) {
      work_.hub.Publish(id_, machine_->head());
      NoteSignOfLife();
    }
    if (const auto wake_at = machine_->wake_at()) work_.timers.Arm(*wake_at);
    // Before the replies: who has cancelled a queued run sees the others move up.
    for (const engine::Effect& effect : batch.effects) Perform(effect);
    for (auto& [reply, refusal] : batch.replies) {
      reply->row = row_;
      reply->done.Complete(refusal);
    }
    if (!goes_on || suspending_) co_return absl::OkStatus();
    batch = Batch();
    batch.expected = machine_->head();
    batch.wants_continue = true;
  }
}

void RunActor::Apply(Message message, Batch& batch) {
  if (const auto* input = std::get_if<engine::Input>(&message.body)) {
    if (const auto* finished = std::get_if<engine::StageFinished>(input))
      ForgetExecution(finished->execution);
    ApplyInput(*input, std::move(message.reply), batch, std::move(message.audit));
    return;
  }
  if (std::holds_alternative<SlotGranted>(message.body)) return ApplyGrant(batch);
  if (const auto* silent = std::get_if<StageSilent>(&message.body)) ApplySilence(silent->execution, batch);
  if (auto* ended = std::get_if<ErrandEnded>(&message.body)) ApplyErrandEnd(std::move(*ended), batch);
}

void RunActor::ApplyGrant(Batch& batch) {
  const engine::Activity activity = machine_->activity();
  has_slot_ = true;
  // It was cancelled or paused while the slot was on its way; after its end there may be something left to
  // do.
  if (activity == engine::Activity::kParked || activity == engine::Activity::kEnded) return GiveSlotBack();
  // A request that is not even made yet has its answer: made now it would be for a second slot, and give the
  // first one up.
  std::erase_if(batch.effects, [](const engine::Effect& effect) {
    return std::holds_alternative<engine::RequestSlot>(effect);
  });
  if (activity == engine::Activity::kQueued) {
    engine::Start start;
    start.prepare = NeedsPreparer();
    ApplyInput(start, nullptr, batch);
  } else {
    engine::Resume resume;
    resume.crashed = std::exchange(crashed_, false);
    ApplyInput(resume, nullptr, batch);
  }
}

void RunActor::ApplyInput(const engine::Input& input, std::shared_ptr<Reply> reply, Batch& batch,
                          std::optional<storage::AppendAudit> audit) {
  engine::Output output = machine_->Handle(input, work_.time.Now(), work_.random);
  if (std::holds_alternative<engine::Rewind>(input) && output.refusal.ok()) waits_for_the_dying_ = true;
  for (engine::Record& record : output.records) {
    batch.records.push_back({std::move(record.event), std::move(record.delta)});
  }
  for (engine::Artifact& artifact : output.artifacts) {
    batch.artifacts.push_back({id_,
                               {.hash = std::move(artifact.hash),
                                .bytes = artifact.content.size(),
                                .key = std::move(artifact.key),
                                .stage_id = std::move(artifact.stage_id),
                                .created_at = artifact.at},
                               std::move(artifact.content)});
  }
  batch.used.Add(UsageOf(output));
  for (engine::Effect& effect : output.effects) {
    if (std::holds_alternative<engine::RunFinished>(effect) && machine_->started_at()) ++batch.used.runs;
    if (std::holds_alternative<engine::ContinueStep>(effect)) {
      batch.wants_continue = true;
    } else {
      batch.effects.push_back(std::move(effect));
    }
  }
  if (audit && reply) batch.callers.push_back(reply);
  if (audit && output.refusal.ok()) batch.audits.push_back(*std::move(audit));
  if (reply) batch.replies.emplace_back(std::move(reply), std::move(output.refusal));
}

Task<absl::Status> RunActor::Commit(Batch& batch) {
  storage::RunRow row = BuildRow();
  const bool changes =
      !batch.records.empty() || row.queue_state != row_.queue_state || row.wake_at != row_.wake_at;
  if (!changes && batch.audits.empty()) {
    co_return absl::OkStatus();
  }
  storage::AppendRecords append;
  append.expected_head = batch.expected;
  append.row = row;
  append.records = batch.records;
  append.snapshot = machine_->MaybeSnapshot();
  bool told = false;
  while (true) {
    storage::WriteBatch write;
    write.writes.emplace_back(append);
    for (const storage::AppendAudit& audit : batch.audits) write.writes.emplace_back(audit);
    for (const storage::PutArtifact& artifact : batch.artifacts) write.writes.emplace_back(artifact);
    if (!batch.used.empty()) write.writes.emplace_back(storage::AddUsage{batch.used});
    if (IsTerminal(row.status) && !IsTerminal(row_.status)) {
      write.writes.emplace_back(storage::PutRetro{id_, RetroOf(machine_->Hindsight())});
    }
    const absl::StatusOr<storage::CommitResult> result = co_await work_.store.Commit(std::move(write));
    absl::Status status = result.status();
    if (ReasonOf(status) == Reason::kOutcomeUnknown) {
      // Without a record the head cannot tell. An audit is rather written twice than not at all.
      if (batch.records.empty() && !batch.audits.empty()) continue;
      const absl::StatusOr<bool> there = co_await LearnOutcome(machine_->head());
      if (!there.ok()) co_return there.status();
      if (*there) status = absl::OkStatus();
      if (!*there) continue;
    }
    if (status.ok()) break;
    if (!MayCommitLater(status)) co_return status;
    // The work is done and must not be lost: it waits here, with its stages, until it can be written. People
    // are told that it takes longer; they may ask again.
    if (!std::exchange(told, true)) {
      log::Error("cannot write; trying again", {{"run", id_}, {"error", status}});
      for (const auto& caller : batch.callers) caller->done.Complete(status);
    }
    const absl::Status slept = co_await work_.time.Sleep(kStorageRetry);
    if (!slept.ok()) co_return slept;
  }
  if (told) log::Info("writing works again", {{"run", id_}});
  row.head = machine_->head();
  row_ = std::move(row);
  co_return absl::OkStatus();
}

// Whether a commit of unknown outcome is there, by the run's head.
Task<absl::StatusOr<bool>> RunActor::LearnOutcome(EventSeq expected) {
  while (true) {
    const absl::StatusOr<storage::RunRow> stored = co_await work_.store.GetRun(id_);
    if (stored.ok()) co_return stored->head == expected;
    if (!MayLoadLater(stored.status())) co_return stored.status();
    const absl::Status slept = co_await work_.time.Sleep(kStorageRetry);
    if (!slept.ok()) co_return slept;
  }
}

void RunActor::Perform(const engine::Effect& effect) {
  if (const auto* execute = std::get_if<engine::ExecuteStage>(&effect)) {
    // Not if a command that came with it has called it off.
    if (!suspending_ && machine_->IsExecuting(execute->execution)) Execute(*execute);
  } else if (const auto* cancel = std::get_if<engine::CancelStage>(&effect)) {
    StopExecution(cancel->execution);
  } else if (std::holds_alternative<engine::RequestSlot>(effect)) {
    if (std::exchange(slot_is_due_, false)) {  // what it waited for is here before its last process has gone
      inbox_.SendBeyondCapacity(Message{SlotGranted{}, nullptr});
      return;
    }
    has_slot_ = false;
    work_.admission.Enqueue(id_, scheduler::Admission::Class::kResumable, row_.priority, row_.queue_key);
  } else if (!PerformErrand(effect)) {  // Park, RunFinished
    if (std::holds_alternative<engine::RunFinished>(effect)) TellParent();
    GiveSlotBack();
  }
}

void RunActor::GiveSlotBack() {
  slot_is_due_ = IsBusy();  // its processes still run: the slot is theirs until they have ended
  if (slot_is_due_) return;
  if (HasAftermath() && !suspending_) return BeginAftermath();
  has_slot_ = false;
  work_.admission.Leave(id_);
}

storage::RunRow RunActor::BuildRow() const {
  const engine::Machine& machine = *machine_;
  storage::RunRow row = row_;
  row.status = machine.status();
  switch (machine.activity()) {
    case engine::Activity::kQueued:
      row.queue_state = storage::QueueState::kQueued;
      break;
    case engine::Activity::kActive:
      row.queue_state =
          has_slot_ || crashed_ ? storage::QueueState::kActive : storage::QueueState::kResumable;
      break;
    case engine::Activity::kParked:
      row.queue_state = storage::QueueState::kNone;
      break;
    case engine::Activity::kEnded:  // a server that dies now will find it and do what is left
      row.queue_state = HasAftermath() ? storage::QueueState::kActive : storage::QueueState::kNone;
      break;
  }
  row.wake_at = machine.wake_at();
  row.started_at = machine.started_at();
  row.finished_at = machine.finished_at();
  row.updated_at = work_.time.Now();
  if (row.queue_state == storage::QueueState::kResumable && row_.queue_state != row.queue_state) {
    row.queue_key = row.updated_at.unix_ms;
  }
  row.outcome = machine.outcome();
  row.error = machine.error();
  row.simulated = machine.simulated();
  row.stage_count = static_cast<std::int32_t>(machine.stage_count());
  row.question_text = machine.question_text();
  row.open_questions =
      row.question_text.empty() ? 0 : static_cast<std::int32_t>(machine.OpenQuestions().size());
  row.current_node = machine.current_node();
  return row;
}

void RunActor::FailWaiting(const absl::Status& status) {
  std::vector<Message> kept;
  while (std::optional<Message> message = inbox_.TryReceive()) {
    if (message->reply) {
      message->reply->done.Complete(status);
    } else {
      kept.push_back(*std::move(message));  // a grant or a timer: still true once the run can be loaded
    }
  }
  for (Message& message : kept) inbox_.SendBeyondCapacity(std::move(message));
}

}  // namespace fabro::runtime
