// Owner of every run's actor: makes runs, brings them back, and passes what happens to the one actor that may
// write.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/base/mutex.h"
#include "core/engine/history.h"
#include "core/runtime/family.h"
#include "core/runtime/run_actor.h"
#include "core/runtime/work.h"

namespace fabro::runtime {

struct NewRun {
  storage::RunRow row;        // id, texts, labels, priority and creation are taken; the rest is set here
  storage::RunSource source;  // its settings are set here
  std::shared_ptr<const workflow::Graph> graph;
  config::RunSettings settings;
  std::optional<storage::PutIdempotent> idempotency;  // remembered in the same transaction
  std::optional<storage::AppendAudit> audit;          // so is this
};

struct ForkRequest {
  RunId id;                            // of the new run
  std::optional<EventSeq> checkpoint;  // not set: the last one
  std::string title;                   // empty: the same as the other's
  std::string by;
  std::string traceparent;                    // of the request; empty: none
  std::optional<storage::AppendAudit> audit;  // written in the same transaction
};

// Thread-safe.
class Supervisor final : public Family {
 public:
  explicit Supervisor(Work work, BlockingPool& files);
  ~Supervisor() override;  // after Stop

  // Enqueues what the store says wants or holds a slot. Before anything else.
  Task<absl::Status> Recover();

  // The run's row once it is durable, with queue_position. Errors of Store::Commit.
  Task<absl::StatusOr<storage::RunRow>> Create(NewRun run);

  // The run's row after the input is durable, and with it the audit. NotFound, the engine's refusal (which is
  // not audited), ResourceExhausted when too much waits.
  Task<absl::StatusOr<storage::RunRow>> Tell(RunId run, engine::Input input,
                                             std::optional<storage::AppendAudit> audit = std::nullopt);

  // The checkpoints that a run can be taken back to or forked from, oldest first. Reads its whole log.
  Task<absl::StatusOr<std::vector<engine::CheckpointEntry>>> Checkpoints(RunId run);

  // The run goes on from a checkpoint of its own: what is in hand is stopped, and event ids, stage ids and
  // what was spent go on. NotFound for no such run or checkpoint, FailedPrecondition unless it runs or is
  // paused. Reads the log up to the checkpoint.
  Task<absl::StatusOr<storage::RunRow>> Rewind(RunId run, EventSeq checkpoint, std::string by,
                                               std::optional<storage::AppendAudit> audit = std::nullopt);

  // A new run that goes on from a checkpoint of another, which may be in any state and stays as it is. It is
  // running at once, and waits for a slot. NotFound for no such run or checkpoint.
  Task<absl::StatusOr<storage::RunRow>> Fork(RunId origin, ForkRequest request);

  // A terminal run, its children and its folder.
  Task<absl::Status> Delete(RunId run, std::optional<storage::AppendAudit> audit = std::nullopt);

  // The state as stored, for questions that the row does not answer. Reads the log since the last snapshot.
  Task<absl::StatusOr<LoadedRun>> Read(RunId run);

  void OnGrant(RunId run);                          // from Admission
  Task<void> OnTimersDue(std::vector<RunId> runs);  // from Timers

  // Active stages get `grace`; then they are stopped and go on at the next start. Not from an actor.
  Task<void> Stop(std::chrono::milliseconds grace);

  std::size_t actor_count() const;

  // For actors.
  Task<absl::StatusOr<std::string>> StartChild(storage::RunRow parent, engine::StartChild child) override;
  Task<absl::StatusOr<engine::Input>> LookAtChild(engine::CheckChild child) override;
  Task<absl::Status> CancelChild(RunId child, RunId parent) override;
  void TellParent(RunId parent, engine::ChildFinished finished) override;

 private:
  Task<absl::StatusOr<storage::RunRow>> Make(LoadedRun run, storage::WriteBatch write);
  Task<absl::StatusOr<std::string>> StateAt(RunId run, EventSeq checkpoint);
  Task<absl::Status> CheckDepth(storage::RunRow parent);
  bool Deliver(RunId run, Message message, bool beyond_capacity);
  bool IsStopping() const;
  bool Retire(RunActor& actor);
  Task<void> Drive(std::shared_ptr<RunActor> actor);
  Task<void> TellTimer(RunId run);

  const Work work_;
  BlockingPool& files_;
  mutable Mutex mutex_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::unordered_map<RunId, std::shared_ptr<RunActor>> actors_ GUARDED_BY(mutex_);
  std::unordered_map<RunId, LoadedRun> fresh_ GUARDED_BY(mutex_);  // made this moment: need not be loaded
  TaskScope scope_;
};

}  // namespace fabro::runtime
