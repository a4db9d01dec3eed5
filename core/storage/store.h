// All that the rest of the core knows of the database.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/base/metrics.h"
#include "core/storage/run_row.h"
#include "core/storage/write_batch.h"

namespace fabro::storage {

// Which runs, in which order. Empty means any.
struct RunFilter {
  std::vector<RunStatus> statuses;
  std::string workflow_slug;
  std::optional<RunId> parent;
  bool oldest_first = false;  // by creation; ties by id
};

struct RunPage {
  std::vector<RunRow> rows;
  std::int64_t total = 0;  // what the filter lets through, on all pages
};

// Bounds of one read of the log. At least one record is given if there is one, whatever its size.
struct ReadLimits {
  std::size_t records = 1000;
  std::size_t bytes = std::size_t{1} << 20;
};

// Where ListRunnable goes on: after this run.
struct RunnableCursor {
  QueueState queue_state = QueueState::kActive;
  std::int32_t priority = 0;
  std::int64_t queue_key = 0;
  RunId id;
};

struct Timer {
  RunId run;
  Timestamp wake_at;
  bool operator==(const Timer&) const = default;
};

struct IdempotentAnswer {
  std::string request_hash;
  std::string response;
  Timestamp expires_at;
};

// One thing that a caller did, as AppendAudit wrote it.
struct AuditEntry {
  std::uint64_t id = 0;  // greater for later ones
  AppendAudit what;
};

// Which entries. Empty means any.
struct AuditFilter {
  std::string principal;
  std::string action;
  std::string resource;
};

struct AuditPage {
  std::vector<AuditEntry> entries;
  bool has_more = false;
};

// Everything that brings a parked run back, read at one moment.
struct LoadedRun {
  RunRow row;
  RunSource source;
  std::optional<Snapshot> snapshot;
  std::vector<EventRecord> tail;  // the records after the snapshot, or all of them
};

struct CommitMetrics {
  metrics::Counter batches;   // callers' commits that were applied or refused
  metrics::Counter records;   // events written
  metrics::Counter failures;  // transactions that failed
  metrics::Histogram groups;  // one transaction for all that waited
};

using StatusCounts = std::array<std::int64_t, kAllRunStatuses.size()>;  // by RunStatus

// Thread-safe; every method may be awaited on any executor, where it also completes. Reads see every commit
// that completed before they began.
//
// Errors common to all: Unavailable + kStorageFailed (disk full, read-only, I/O error: nothing was written;
// works again when there is space again), DeadlineExceeded (a read over the store's time limit), Unavailable
// + kDraining (after Close), ResourceExhausted + kLimit (too many waiting), Cancelled (the caller's coroutine
// was cancelled before the work began).
class Store {
 public:
  virtual ~Store() = default;

  // Applies the batch entirely or not at all; durable when it completes with success.
  // Conditions and their errors are told beside each write. Unavailable + kOutcomeUnknown: the commit itself
  // failed, and the batch may or may not be there; read the run's head before going on. Cancelling the caller
  // takes the batch back if it still waits; otherwise its outcome is awaited.
  virtual Task<absl::StatusOr<CommitResult>> Commit(WriteBatch batch) = 0;

  // NotFound + kRunNotFound. Completes at once, on the calling thread, for a run in the row cache.
  virtual Task<absl::StatusOr<RunRow>> GetRun(RunId run) = 0;
  virtual Task<absl::StatusOr<RunSource>> GetRunSource(RunId run) = 0;  // NotFound + kRunNotFound
  virtual Task<absl::StatusOr<LoadedRun>> LoadRun(RunId run) = 0;       // NotFound + kRunNotFound

  // One page; what is skipped is not loaded.
  virtual Task<absl::StatusOr<RunPage>> ListRuns(RunFilter filter, std::int64_t limit,
                                                 std::int64_t offset) = 0;

  // Records after `after`, in order, without a gap; none for an unknown run.
  virtual Task<absl::StatusOr<std::vector<EventRecord>>> ReadRecords(RunId run, EventSeq after,
                                                                     ReadLimits limits) = 0;
  virtual Task<absl::StatusOr<std::vector<EventBytes>>> ReadEvents(RunId run, EventSeq after,
                                                                   ReadLimits limits) = 0;
  virtual Task<absl::StatusOr<std::optional<Snapshot>>> LatestSnapshot(RunId run) = 0;

  // Runs that hold or want a slot, in scheduling order: active, resumable, queued; then greater priority,
  // then smaller queue key, then id.
  virtual Task<absl::StatusOr<std::vector<RunRow>>> ListRunnable(std::int64_t limit,
                                                                 std::optional<RunnableCursor> after) = 0;
  // 1 for the next of the queued runs; nothing for a run that is not queued (or not there).
  virtual Task<absl::StatusOr<std::optional<std::int64_t>>> QueuePosition(RunId run) = 0;

  // Timers due at `now` (wake_at <= now), earliest first.
  virtual Task<absl::StatusOr<std::vector<Timer>>> DueTimers(Timestamp now, std::int64_t limit) = 0;
  virtual Task<absl::StatusOr<std::optional<Timestamp>>> NextWakeAt() = 0;

  // Also an expired answer that nothing has replaced yet.
  virtual Task<absl::StatusOr<std::optional<IdempotentAnswer>>> GetIdempotent(std::string principal,
                                                                              std::string key) = 0;

  // The newest first. What is skipped is not loaded.
  virtual Task<absl::StatusOr<AuditPage>> ListAudit(AuditFilter filter, std::int64_t limit,
                                                    std::int64_t offset) = 0;

  virtual Task<absl::StatusOr<StatusCounts>> CountByStatus() = 0;

  // What AddUsage added up, since the database was made.
  virtual Task<absl::StatusOr<Usage>> GetUsage() = 0;

  // What the run's context named, in the order in which it was written; none for an unknown run.
  virtual Task<absl::StatusOr<ArtifactPage>> ListArtifacts(RunId run, std::int64_t limit,
                                                           std::int64_t offset) = 0;
  // The content, by its hash. NotFound + kNotFound.
  virtual Task<absl::StatusOr<std::string>> GetArtifact(std::string hash) = 0;

  // Those of the runs that ended last first. What is skipped is not loaded.
  virtual Task<absl::StatusOr<RetroPage>> ListRetros(RetroFilter filter, std::int64_t limit,
                                                     std::int64_t offset) = 0;

  // Makes a real, durable write: OK means that the store can be written now.
  virtual Task<absl::Status> CheckWritable() = 0;

  // Counted since it was opened.
  virtual const CommitMetrics& commit_metrics() const = 0;

  // Whether the last write failed for want of a storage that works; the next one that succeeds ends it.
  virtual bool WritesFail() const = 0;

  // Refuses new work, finishes what is queued, closes the database. Blocks; idempotent.
  virtual void Close() = 0;
};

}  // namespace fabro::storage
