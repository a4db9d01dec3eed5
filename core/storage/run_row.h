// What the store keeps of a run beside its event log: enough for lists, for the scheduler and for GET
// /runs/{id} without reading a single event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/run_status.h"
#include "core/base/time.h"

namespace fabro::storage {

// Whether a run wants or holds one of the slots. The numbers are stored, in scheduling order.
enum class QueueState : std::uint8_t {
  kActive = 0,     // holds a slot
  kResumable = 1,  // waits for a slot and goes ahead of new runs
  kQueued = 2,     // new, waits for its first slot
  kNone = 3,       // parked or terminal
};

struct RunRow {
  // Written once, by CreateRun.
  RunId id;
  Timestamp created_at;
  std::optional<RunId> parent;
  std::optional<RunId> forked_from;
  std::string workflow_name;
  std::string workflow_slug;
  std::string title;
  std::string goal;
  std::string created_by;
  std::vector<std::pair<std::string, std::string>> labels;  // in the order given

  // Written by every AppendRecords. `head` is the sequence number of the last record; the store sets it.
  EventSeq head{};
  RunStatus status = RunStatus::kQueued;
  QueueState queue_state = QueueState::kQueued;
  std::int32_t priority = 0;         // a greater one goes first
  std::int64_t queue_key = 0;        // order among equal priorities, ascending
  std::optional<Timestamp> wake_at;  // the next timer
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> finished_at;
  Timestamp updated_at;
  std::string outcome;  // success, partial_success, fail; empty before the end
  std::optional<std::string> error;
  bool simulated = false;
  std::int32_t stage_count = 0;  // stages finished so far
  std::int32_t open_questions = 0;
  std::string question_text;  // of the oldest open question, for lists
  std::string current_node;

  // Set by ListRuns for runs in QueueState::kQueued: 1 is next. Never stored.
  std::optional<std::int64_t> queue_position;

  bool operator==(const RunRow&) const = default;
};

// The large, immutable part of a run.
struct RunSource {
  std::string source;            // DOT text after variables
  std::string settings_json;     // effective settings; an object
  std::string vars_json;         // the variables given; an object
  std::string traceparent = {};  // of the request that made the run (W3C Trace Context); empty: none
  bool operator==(const RunSource&) const = default;
};

// One record as it is written: an encoded fabro.v1.Event and an encoded fabro.internal.v1.StateDelta (may be
// empty).
struct RecordBytes {
  std::string event;
  std::string delta;
  bool operator==(const RecordBytes&) const = default;
};

struct EventRecord {
  EventSeq seq{};
  std::string event;
  std::string delta;
  bool operator==(const EventRecord&) const = default;
};

// For streams, which have no use for deltas.
struct EventBytes {
  EventSeq seq{};
  std::string event;
  bool operator==(const EventBytes&) const = default;
};

// State folded up to and including `seq`.
struct Snapshot {
  EventSeq seq{};
  std::string bytes;
  bool operator==(const Snapshot&) const = default;
};

}  // namespace fabro::storage
