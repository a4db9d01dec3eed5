#include "core/runtime/supervisor.h"

#include <filesystem>
#include <limits>
#include <utility>

#include "core/async/with_deadline.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/runtime/run_settings.h"

namespace fabro::runtime {
namespace {

constexpr std::int64_t kRecoverPage = 1000;

// Waits for the scope's children; cancelled, it cancels them and says how many those were.
Task<absl::Status> JoinScope(TaskScope* scope, std::shared_ptr<std::size_t> cut) {
  const auto ended = std::make_shared<Waiter>();
  const Executor executor = co_await CurrentExecutor();
  TaskScope joiner(executor);
  auto join = [](TaskScope* joined, std::shared_ptr<Waiter> done) -> Task<void> {
    co_await joined->Join();
    done->Complete(absl::OkStatus());
  };
  joiner.Spawn("join", join(scope, ended));
  absl::Status status = co_await ended->Wait();
  if (!status.ok()) {
    *cut = scope->size();
    scope->Cancel();
  }
  co_await joiner.Join();
  co_return status;
}

}  // namespace

Supervisor::Supervisor(Work work, BlockingPool& files)
    : work_(std::move(work)), files_(files), scope_(work_.executor) {}

Supervisor::~Supervisor() = default;

Task<absl::Status> Supervisor::Recover() {
  std::optional<storage::RunnableCursor> cursor;
  std::int64_t interrupted = 0;
  std::int64_t waiting = 0;
  while (true) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::RunRow> rows,
                              co_await work_.store.ListRunnable(kRecoverPage, cursor));
    for (const storage::RunRow& row : rows) {
      std::int64_t key = row.queue_key;
      auto run_class = scheduler::Admission::Class::kResumable;
      if (row.queue_state == storage::QueueState::kActive) {
        key =
            std::numeric_limits<std::int64_t>::min() + interrupted++;  // had a slot: ahead of all that waited
      } else {
        ++waiting;
        if (row.queue_state == storage::QueueState::kQueued) run_class = scheduler::Admission::Class::kNew;
      }
      work_.admission.Enqueue(row.id, run_class, row.priority, key);
    }
    if (rows.size() < static_cast<std::size_t>(kRecoverPage)) break;
    const storage::RunRow& last = rows.back();
    cursor = storage::RunnableCursor{last.queue_state, last.priority, last.queue_key, last.id};
  }
  if (interrupted + waiting > 0) {
    log::Info("runs found in the store", {{"interrupted", interrupted}, {"waiting", waiting}});
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<storage::RunRow>> Supervisor::Create(NewRun run) {
  storage::RunRow row = std::move(run.row);
  row.status = RunStatus::kQueued;
  row.queue_state = storage::QueueState::kQueued;
  row.queue_key = row.created_at.unix_ms;
  row.updated_at = row.created_at;
  row.head = EventSeq{0};
  engine::RunSeed seed;
  seed.id = row.id;
  seed.graph = run.graph;
  seed.goal = row.goal;
  seed.work_dir =
      run.settings.work_dir.empty() ? DefaultWorkDir(work_.runs_dir, row.id) : run.settings.work_dir;
  seed.traceparent = run.source.traceparent;
  const std::string work_dir = seed.work_dir;
  engine::Machine machine = engine::Machine::Create(std::move(seed));
  row.simulated = machine.simulated();

  storage::CreateRun create;
  create.row = row;
  create.source = std::move(run.source);
  FABRO_CO_ASSIGN_OR_RETURN(create.source.settings_json, SettingsToJson(run.settings));
  storage::WriteBatch write;
  if (run.idempotency) write.writes.emplace_back(*std::move(run.idempotency));
  if (run.audit) write.writes.emplace_back(*std::move(run.audit));
  write.writes.emplace_back(std::move(create));
  LoadedRun made{std::move(machine), std::move(row), work_dir, std::move(run.graph),
                 std::make_shared<const config::RunSettings>(std::move(run.settings))};
  co_return co_await Make(std::move(made), std::move(write));
}

// Commits a new run and queues it.
Task<absl::StatusOr<storage::RunRow>> Supervisor::Make(LoadedRun run, storage::WriteBatch write) {
  storage::RunRow row = run.row;
  const RunId id = row.id;
  const auto run_class = row.queue_state == storage::QueueState::kQueued
                             ? scheduler::Admission::Class::kNew
                             : scheduler::Admission::Class::kResumable;
  const absl::StatusOr<storage::CommitResult> committed = co_await work_.store.Commit(std::move(write));
  if (ReasonOf(committed.status()) == Reason::kOutcomeUnknown) {
    const absl::StatusOr<storage::RunRow> there = co_await work_.store.GetRun(id);
    if (!there.ok()) {
      // It may be there all the same, and then it must run: loading it will tell.
      if (!absl::IsNotFound(there.status())) {
        work_.admission.Enqueue(id, run_class, row.priority, row.queue_key);
      }
      co_return committed.status();
    }
  } else if (!committed.ok()) {
    co_return committed.status();
  }

  {
    MutexLock lock(&mutex_);
    fresh_.emplace(id, std::move(run));
  }
  work_.admission.Enqueue(id, run_class, row.priority, row.queue_key);
  // Without a slot it leaves memory again and is loaded when its turn comes.
  {
    MutexLock lock(&mutex_);
    fresh_.erase(id);
  }
  if (run_class == scheduler::Admission::Class::kNew) {
    row.queue_position = work_.admission.QueuePosition(id).value_or(1);
  }
  co_return row;
}

Task<absl::StatusOr<storage::RunRow>> Supervisor::Tell(RunId run, engine::Input input,
                                                       std::optional<storage::AppendAudit> audit) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await work_.store.GetRun(run));
  Message message;
  message.body = std::move(input);
  message.audit = std::move(audit);
  message.reply = std::make_shared<Reply>();
  const std::shared_ptr<Reply> reply = message.reply;
  if (!Deliver(run, std::move(message), false)) {
    if (IsStopping()) {
      co_return Unavailable(Reason::kDraining, run.ToString(),
                            "The server is shutting down; try again in a moment.");
    }
    co_return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, run.ToString(),
                    StrCat("Run ", run.ToString(), " has too many requests waiting; try again in a moment."));
  }
  absl::Status status = co_await reply->done.Wait();
  if (!status.ok()) co_return status;
  co_return reply->row;
}

Task<absl::Status> Supervisor::Delete(RunId run, std::optional<storage::AppendAudit> audit) {
  storage::WriteBatch write;
  storage::DeleteRun remove;
  remove.run = run;
  write.writes.emplace_back(remove);
  if (audit) write.writes.emplace_back(*std::move(audit));
  const absl::StatusOr<storage::CommitResult> committed = co_await work_.store.Commit(std::move(write));
  if (!committed.ok()) co_return committed.status();
  if (work_.worktrees != nullptr) {
    const absl::Status forgotten = co_await work_.worktrees->ForgetRun(run);
    if (!forgotten.ok()) {
      log::Warn("a repository still knows a deleted run's worktree; git worktree prune takes it away",
                {{"run", run}, {"error", forgotten}});
    }
  }
  auto remove_folder = [folder = StrCat(work_.runs_dir, '/', run.ToString())]() -> absl::Status {
    std::error_code failed;
    std::filesystem::remove_all(folder, failed);
    if (failed)
      log::Warn("a deleted run's folder is still there", {{"folder", folder}, {"error", failed.message()}});
    return absl::OkStatus();
  };
  co_return co_await RunBlocking(files_, std::move(remove_folder));
}

Task<absl::StatusOr<LoadedRun>> Supervisor::Read(RunId run) {
  FABRO_CO_ASSIGN_OR_RETURN(storage::LoadedRun stored, co_await work_.store.LoadRun(run));
  co_return Rebuild(std::move(stored), work_.runs_dir);
}

void Supervisor::OnGrant(RunId run) {
  Message message;
  message.body = SlotGranted{};
  if (!Deliver(run, std::move(message), true)) work_.admission.Leave(run);
}

Task<void> Supervisor::TellTimer(RunId run) {
  Message message;
  message.body = engine::Input(engine::TimerDue{});
  message.reply = std::make_shared<Reply>();
  const std::shared_ptr<Reply> reply = message.reply;
  if (!Deliver(run, std::move(message), true)) co_return;
  const absl::Status status = co_await reply->done.Wait();
  if (!status.ok() && !absl::IsCancelled(status)) {
    log::Warn("a run's timer could not be handled", {{"run", run}, {"error", status}});
  }
}

Task<void> Supervisor::OnTimersDue(std::vector<RunId> runs) {
  TaskScope scope(work_.executor);
  for (const RunId& run : runs) scope.Spawn("timer", TellTimer(run));
  const absl::Status joined = co_await JoinScope(&scope, std::make_shared<std::size_t>());
  (void)joined;  // cancelled: the timers stay due
}

bool Supervisor::Deliver(RunId run, Message message, bool beyond_capacity) {
  MutexLock lock(&mutex_);
  if (stopping_) return false;
  std::shared_ptr<RunActor>& actor = actors_[run];
  const bool starts = actor == nullptr;
  if (starts) {
    actor = std::make_shared<RunActor>(work_, *this, run,
                                       [this](RunActor& retiring) { return Retire(retiring); });
    if (const auto fresh = fresh_.find(run); fresh != fresh_.end()) {
      actor->Adopt(std::move(fresh->second));
      fresh_.erase(fresh);
    }
  }
  const bool told = actor->Tell(std::move(message), beyond_capacity);
  // Under the lock, so that Stop, which takes it first, waits for this one too.
  if (starts) scope_.Spawn("run", Drive(actor));
  return told;
}

bool Supervisor::IsStopping() const {
  MutexLock lock(&mutex_);
  return stopping_;
}

// Under the lock that Deliver holds while it finds and fills an inbox: an empty one stays empty once it is
// out of the map.
bool Supervisor::Retire(RunActor& actor) {
  MutexLock lock(&mutex_);
  if (!actor.inbox_empty()) return false;
  actors_.erase(actor.id());
  return true;
}

Task<void> Supervisor::Drive(std::shared_ptr<RunActor> actor) {
  co_await actor->Run();
  MutexLock lock(&mutex_);
  const auto found = actors_.find(actor->id());
  if (found != actors_.end() && found->second == actor) actors_.erase(found);
}

Task<void> Supervisor::Stop(std::chrono::milliseconds grace) {
  work_.admission.Stop();
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    for (const auto& [id, actor] : actors_) actor->Suspend();
  }
  const auto cut = std::make_shared<std::size_t>(scope_.size());
  const absl::Status ended = co_await WithDeadline(Deadline::In(grace), JoinScope(&scope_, cut));
  if (!ended.ok() && *cut > 0) log::Warn("stages were still at work and were stopped", {{"runs", *cut}});
  scope_.Cancel();
  co_await scope_.Join();
}

std::size_t Supervisor::actor_count() const {
  MutexLock lock(&mutex_);
  return actors_.size();
}

}  // namespace fabro::runtime
