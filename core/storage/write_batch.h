// Conditional writes that are applied together or not at all.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/storage/artifact.h"
#include "core/storage/retro.h"
#include "core/storage/run_row.h"
#include "core/storage/usage.h"

namespace fabro::storage {

// Fails with Aborted + kStaleHead if the run exists.
struct CreateRun {
  RunRow row;  // row.head is ignored: it becomes the number of records
  RunSource source;
  std::vector<RecordBytes> records;  // the first events, numbered from 1; may be empty
};

// Appends to a run whose head is expected_head: else Aborted + kStaleHead; NotFound + kRunNotFound for no
// such run.
struct AppendRecords {
  EventSeq expected_head{};
  // The run is row.id. Its mutable part replaces the stored one; the immutable part must be what CreateRun
  // got (the row cache keeps it). row.head is ignored: it becomes expected_head plus the number of records.
  RunRow row;
  std::vector<RecordBytes> records;     // may be empty: only the row changes
  std::optional<std::string> snapshot;  // of the state after these records; replaces the run's former one
};

// Removes a terminal run with its child runs, their logs and snapshots. NotFound + kRunNotFound;
// FailedPrecondition + kRunActive unless all of them are terminal.
struct DeleteRun {
  RunId run;
};

// Remembers the answer to a request. Fails with AlreadyExists + kIdempotencyReuse if the key is there and has
// not expired at `now`; Store::GetIdempotent then tells what was stored.
struct PutIdempotent {
  std::string principal;
  std::string key;
  std::string request_hash;
  std::string response;
  Timestamp now;
  Timestamp expires_at;
};

// Adds to the audit, from which nothing is ever taken.
struct AppendAudit {
  Timestamp at;
  std::string principal;
  std::string action;    // "RunService/CancelRun"
  std::string resource;  // "runs/01KAT..."; may be empty
  std::string outcome;   // "ok", or the reason of the refusal
  std::string request_id;
};

// Adds to what all runs have used. It is never taken back, not even with the run.
struct AddUsage {
  Usage used;
};

// The look back at a run that has ended; goes with the run. A second one of the same run changes nothing.
struct PutRetro {
  RunId run;
  RetroStats stats;
};

// Keeps a value for a run; the same content is stored once, and as long as some run names it.
struct PutArtifact {
  RunId run;
  ArtifactRef ref;  // ref.bytes is ignored: it becomes the content's size
  std::string content;
};

// A run takes over all that another one's context names. NotFound + kRunNotFound if that one is gone.
struct ShareArtifacts {
  RunId from;
  RunId to;
};

using Write = std::variant<CreateRun, AppendRecords, DeleteRun, PutIdempotent, AppendAudit, AddUsage,
                           PutRetro, PutArtifact, ShareArtifacts>;

struct WriteBatch {
  std::vector<Write> writes;  // applied in this order
};

// What a committed batch left behind.
struct CommitResult {
  EventSeq head{};  // of the last run created or appended to; 0 without one
};

}  // namespace fabro::storage
