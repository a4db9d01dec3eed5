// The state of one run as plain data. Changed by Fold (fold.h) only, so that what is decided live and what is
// read back from the log can never differ.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/run_status.h"
#include "core/base/time.h"
#include "core/engine/outcome.h"
#include "core/engine/views.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

// Where a cursor stands between two inputs. The numbers are stored in snapshots: words only join, at the end.
enum class Phase : std::uint8_t {
  kBefore,     // the run never had a slot
  kReady,      // `node` is the next to enter
  kExecuting,  // an attempt was handed out and has not ended
  kRetryWait,  // between two attempts, until wake_at
  kTimer,      // a wait node, until wake_at
  kAsking,     // a question is open, until its answer or wake_at
  kFinishing,  // the last stage ended and no edge leads on
  kDone,
};

// One place of execution in the graph. A run has one; parallel branches will have one each.
struct Cursor {
  Phase phase = Phase::kBefore;
  workflow::NodeIndex node = 0;   // in hand, or the next one
  std::uint32_t attempt = 0;      // counts from 1; 0: not entered
  std::uint32_t interrupted = 0;  // attempts that a crash cut short; they use up no retry
  std::uint32_t retries = 0;      // used in this visit
  std::uint64_t execution = 0;    // id of the attempt's StageStarted; means nothing to another process
  Timestamp attempt_at;
  Timestamp asked_at;
  std::optional<Timestamp> wake_at;
  std::chrono::milliseconds retry_delay{0};
};

// The last stage that was not transparent: what conditions, conditional nodes and the exit look at.
struct LastStage {
  std::optional<workflow::NodeIndex> node;
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::string preferred_label;
  std::optional<Failure> failure;  // message cut at kMaxKeptMessage
  std::string failure_signature;
};

// How a node's last visit ended.
struct NodeOutcome {
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::string preferred_label;
  std::optional<Failure> failure;  // message cut at kMaxKeptMessage
  std::string notes;
  std::chrono::milliseconds duration{0};
};

struct NodeState {
  std::uint32_t visits = 0;
  std::uint32_t retries = 0;             // used in the last visit
  std::unique_ptr<NodeOutcome> outcome;  // null before the first end
};

struct StageRow {
  workflow::NodeIndex node = 0;
  std::uint32_t visit = 1;
  StageState state = StageState::kRunning;
  Timestamp started_at;
  std::chrono::milliseconds duration{0};
};

struct CheckpointMark {
  Timestamp at;
  workflow::NodeIndex node = 0;
  std::optional<workflow::NodeIndex> next;
};

// Counts by failure signature. New signatures beyond this many are not counted: a run that fails in so many
// different ways is not going round in one circle.
inline constexpr std::size_t kMaxSignatures = 1000;
using SignatureCounts = std::map<std::string, std::uint32_t, std::less<>>;

// What state and errors keep of a failure's message, in characters; the events hold all of it.
inline constexpr std::size_t kMaxKeptMessage = 4000;

using ContextMap = std::map<std::string, std::string, std::less<>>;

struct RunState {
  explicit RunState(std::size_t node_count) : nodes(node_count) {}

  RunStatus status = RunStatus::kQueued;
  std::uint64_t head = 0;
  Timestamp last_event_at;
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> finished_at;
  std::optional<OutcomeStatus> outcome;  // once terminal, but for cancelled runs
  std::optional<std::string> error;

  Cursor cursor;
  LastStage last;
  ContextMap context;  // without the engine's own keys, which are rendered from the rest (context_view.h)
  std::string response_key;  // the context key of the last response; empty: none
  SignatureCounts loop_failures;
  SignatureCounts restart_failures;
  std::vector<NodeState> nodes;  // by NodeIndex
  std::vector<StageRow> stages;  // oldest first; the last one may be in hand
  std::uint32_t stages_ended = 0;
  std::optional<CheckpointMark> checkpoint;
  std::uint32_t questions_asked = 0;
};

// A stage has been entered and has not ended.
inline bool HasStageInHand(const RunState& state) {
  const Phase phase = state.cursor.phase;
  return phase == Phase::kExecuting || phase == Phase::kRetryWait || phase == Phase::kTimer ||
         phase == Phase::kAsking;
}

// "fix" for the first visit, then "fix-2" ...; no node id holds a hyphen.
std::string StageIdOf(const workflow::Node& node, std::uint32_t visit);
std::string QuestionIdOf(std::uint32_t number);  // "q-1"

// The first node of the graph that was visited, must succeed, and did not the last time. Null: none.
const workflow::Node* FindUnsatisfiedGate(const workflow::Graph& graph, const RunState& state);

}  // namespace fabro::engine
