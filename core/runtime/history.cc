// Going back: a run's checkpoints, taking it back to one, and another run that goes on from one.
#include "core/engine/history.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/events/event_hub.h"
#include "core/runtime/supervisor.h"

namespace fabro::runtime {
namespace {

absl::Status NoCheckpoint(RunId run, EventSeq checkpoint) {
  const std::string id = run.ToString();
  if (checkpoint == EventSeq{}) {
    return NotFound(Reason::kNotFound, id,
                    StrCat("Run ", id, " has no such checkpoint; it may have none yet."));
  }
  return NotFound(Reason::kNotFound, id, StrCat("Run ", id, " has no checkpoint ", ToUint(checkpoint), "."));
}

// What a fork has from the other run's row.
storage::RunRow CopyOf(const storage::RunRow& row) {
  storage::RunRow copy;
  copy.workflow_name = row.workflow_name;
  copy.workflow_slug = row.workflow_slug;
  copy.title = row.title;
  copy.goal = row.goal;
  copy.labels = row.labels;
  copy.priority = row.priority;
  return copy;
}

}  // namespace

Task<absl::StatusOr<std::vector<engine::CheckpointEntry>>> Supervisor::Checkpoints(RunId run) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await work_.store.GetRun(run));
  std::vector<engine::CheckpointEntry> checkpoints;
  EventSeq after{};
  while (after < row.head) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::EventRecord> page,
                              co_await work_.store.ReadRecords(run, after, storage::ReadLimits()));
    if (page.empty()) break;
    for (const storage::EventRecord& record : page) {
      FABRO_CO_ASSIGN_OR_RETURN(std::optional<engine::CheckpointEntry> entry,
                                engine::CheckpointIn({record.event, record.delta}));
      if (entry) checkpoints.push_back(*std::move(entry));
    }
    after = page.back().seq;
  }
  co_return checkpoints;
}

// The run's machine as it was when the checkpoint's event was its last one.
Task<absl::StatusOr<std::string>> Supervisor::StateAt(RunId run, EventSeq checkpoint) {
  storage::LoadedRun stored;
  FABRO_CO_ASSIGN_OR_RETURN(stored.row, co_await work_.store.GetRun(run));
  FABRO_CO_ASSIGN_OR_RETURN(stored.source, co_await work_.store.GetRunSource(run));
  if (checkpoint > stored.row.head) co_return NoCheckpoint(run, checkpoint);
  FABRO_CO_ASSIGN_OR_RETURN(LoadedRun then, Rebuild(std::move(stored), work_.runs_dir));
  while (then.machine.head() < checkpoint) {
    FABRO_CO_ASSIGN_OR_RETURN(
        std::vector<storage::EventRecord> page,
        co_await work_.store.ReadRecords(run, then.machine.head(), storage::ReadLimits()));
    if (page.empty()) co_return NoCheckpoint(run, checkpoint);
    std::vector<engine::RecordView> views;
    for (const storage::EventRecord& record : page) {
      if (record.seq > checkpoint) break;
      views.push_back({record.event, record.delta});
    }
    FABRO_CO_RETURN_IF_ERROR(then.machine.Follow(views));
    if (then.machine.head() < checkpoint) continue;
    FABRO_CO_ASSIGN_OR_RETURN(const std::optional<engine::CheckpointEntry> entry,
                              engine::CheckpointIn(views.back()));
    if (!entry) co_return NoCheckpoint(run, checkpoint);
  }
  co_return then.machine.Snapshot();
}

Task<absl::StatusOr<storage::RunRow>> Supervisor::Rewind(RunId run, EventSeq checkpoint, std::string by,
                                                         std::optional<storage::AppendAudit> audit) {
  if (checkpoint == EventSeq{}) co_return NoCheckpoint(run, checkpoint);
  engine::Rewind rewind;
  FABRO_CO_ASSIGN_OR_RETURN(rewind.state, co_await StateAt(run, checkpoint));
  rewind.checkpoint = ToUint(checkpoint);
  rewind.by = std::move(by);
  co_return co_await Tell(run, engine::Input(std::move(rewind)), std::move(audit));
}

Task<absl::StatusOr<storage::RunRow>> Supervisor::Fork(RunId origin, ForkRequest request) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow from, co_await work_.store.GetRun(origin));
  engine::ForkOrigin fork;
  fork.run = origin;
  if (request.checkpoint) {
    fork.checkpoint = ToUint(*request.checkpoint);
  } else {
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<engine::CheckpointEntry> all, co_await Checkpoints(origin));
    if (!all.empty()) fork.checkpoint = ToUint(all.back().id);
  }
  if (fork.checkpoint == 0) co_return NoCheckpoint(origin, EventSeq{});
  FABRO_CO_ASSIGN_OR_RETURN(fork.state, co_await StateAt(origin, EventSeq(fork.checkpoint)));

  storage::LoadedRun stored;
  FABRO_CO_ASSIGN_OR_RETURN(stored.source, co_await work_.store.GetRunSource(origin));
  stored.source.traceparent = request.traceparent;
  const Timestamp now = work_.time.Now();
  stored.row = CopyOf(from);
  stored.row.id = request.id;
  stored.row.forked_from = origin;
  stored.row.created_at = now;
  stored.row.created_by = std::move(request.by);
  if (!request.title.empty()) stored.row.title = std::move(request.title);
  storage::CreateRun create;
  create.source = stored.source;
  FABRO_CO_ASSIGN_OR_RETURN(LoadedRun run, Rebuild(std::move(stored), work_.runs_dir));
  stages::RunContext context;
  context.run = request.id;
  context.workflow_name = run.row.workflow_name;
  context.goal = run.row.goal;
  context.work_dir = run.work_dir;
  context.traceparent = request.traceparent;
  context.settings = run.settings;
  fork.prepare = work_.preparer != nullptr && work_.preparer->IsNeeded(context);
  for (engine::Record& record : run.machine.StartFork(fork, now).records) {
    create.records.push_back({std::move(record.event), std::move(record.delta)});
  }
  run.row.status = run.machine.status();
  run.row.queue_state = storage::QueueState::kResumable;
  run.row.queue_key = now.unix_ms;
  run.row.started_at = run.machine.started_at();
  run.row.updated_at = now;
  run.row.simulated = run.machine.simulated();
  run.row.current_node = run.machine.current_node();
  create.row = run.row;
  run.row.head = run.machine.head();
  storage::WriteBatch write;
  if (request.audit) write.writes.emplace_back(*std::move(request.audit));
  write.writes.emplace_back(std::move(create));
  write.writes.emplace_back(storage::ShareArtifacts{.from = origin, .to = request.id});
  co_return co_await Make(std::move(run), std::move(write));
}

}  // namespace fabro::runtime
