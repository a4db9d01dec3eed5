// The state of one run as plain data. Changed by Fold (fold.h) only, so that what is decided live and what is
// read back from the log can never differ.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/run_status.h"
#include "core/base/time.h"
#include "core/engine/hindsight.h"
#include "core/engine/outcome.h"
#include "core/engine/preparation.h"
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
  kDone,       // the run is terminal, or the branch has ended
  kParallel,   // a parallel node, until its branches have ended
  kChild,      // a child run, until its end; wake_at has no meaning, the child is looked at every interval
};

// One place of execution in the graph.
struct Cursor {
  Phase phase = Phase::kBefore;
  workflow::NodeIndex node = 0;   // in hand, or the next one
  std::uint32_t attempt = 0;      // counts from 1; 0: not entered
  std::uint32_t interrupted = 0;  // attempts that a crash cut short; they use up no retry
  std::uint32_t retries = 0;      // used in this visit
  std::uint32_t stage = 0;        // the stage in hand, or the last one: its place in RunState::stages
  std::uint32_t index = 0;        // stages that had ended when it started
  std::uint32_t question = 0;     // the number of the question asked last
  std::optional<workflow::EdgeIndex> edge;  // that led here, if it says what the node is told
  std::uint64_t execution = 0;  // id of the attempt's StageStarted; means nothing to another process
  std::string child;            // the run that it waits for
  bool child_started = false;   // ... which is known to be there
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
  std::string notes;
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
  std::uint32_t stages = 0;              // as visits, but never taken back: numbers the stage ids
  std::uint32_t retries = 0;             // used in the last visit
  std::unique_ptr<NodeOutcome> outcome;  // null before the first end
};

struct StageRow {
  workflow::NodeIndex node = 0;
  std::uint32_t visit = 1;
  StageState state = StageState::kRunning;
  Timestamp started_at;
  std::chrono::milliseconds duration{0};
  std::uint32_t frame = 0;  // the course that it belongs to
  bool taken_back = false;  // by a rewind: it happened, and counts no more
};

struct CheckpointMark {
  Timestamp at;
  workflow::NodeIndex node = 0;
  std::optional<workflow::NodeIndex> next;
  std::string git_commit_sha;  // empty: none
};

// Counts by failure signature. New signatures beyond this many are not counted: a run that fails in so many
// different ways is not going round in one circle.
inline constexpr std::size_t kMaxSignatures = 1000;
using SignatureCounts = std::map<std::string, std::uint32_t, std::less<>>;

// What state and errors keep of a failure's message, in characters; the events hold all of it.
inline constexpr std::size_t kMaxKeptMessage = 4000;

// Compact JSON by key; in a branch an empty text hides what the course before it wrote.
using ContextMap = std::map<std::string, std::string, std::less<>>;

// Names a course: 0 is the run's own, and the branches count from 1 in the order in which they were made
// room for, so that a branch's number is greater than that of the course it branched off.
using FrameNumber = std::uint32_t;

// The branches of the parallel node that a course is at: branch i is the frame first + i.
struct Fork {
  FrameNumber first = 0;
  std::uint32_t begun = 0;
  std::uint32_t ended = 0;
};

// What a branch came to.
struct BranchResult {
  std::string branch;             // its name
  workflow::NodeIndex start = 0;  // its first node
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::optional<double> score;
};

// One course through the graph: the run's own, or a parallel branch. A branch sees its parent's context,
// which stands still meanwhile, under what it writes itself.
struct Frame {
  FrameNumber number = 0;
  Cursor cursor;
  LastStage last;                     // of this course; a branch without one goes by its parent's
  ContextMap context;                 // without the engine's own keys, which are rendered (context_view.h)
  std::string response_key;           // the context key of the last response; empty: none
  Fork fork;                          // while the cursor is in kParallel
  std::vector<BranchResult> results;  // of the last parallel node, by index
  std::uint32_t instant_steps = 0;    // in a row, without anything from outside
  std::string restore_sha;  // after a rewind: the commit whose files the next stage begins with; else empty
  std::string files_sha;    // the commit that its files are at by its last checkpoint; empty: none yet

  // Of a branch.
  FrameNumber parent = 0;
  std::uint32_t index = 0;        // among the branches of its parallel node
  std::string name;               // "fan-1"; unique in the run and fit for file names and git branches
  workflow::NodeIndex start = 0;  // its first node
  Timestamp started_at;
  std::optional<OutcomeStatus> ended;
};

// What all stages used of models together.
struct UsageTotal {
  StageUsage sum;  // without a model; the cost of what has a known one
  std::uint32_t stages = 0;
};

struct RunState {
  explicit RunState(std::size_t node_count) : nodes(node_count) { frames.try_emplace(0); }

  RunStatus status = RunStatus::kQueued;
  std::uint64_t head = 0;
  Timestamp last_event_at;
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> finished_at;
  std::optional<OutcomeStatus> outcome;  // once terminal, but for cancelled runs
  std::optional<std::string> error;

  std::map<FrameNumber, Frame> frames;  // the run's own course is always there
  FrameNumber next_frame = 1;
  SignatureCounts loop_failures;
  SignatureCounts restart_failures;
  std::vector<NodeState> nodes;  // by NodeIndex
  std::vector<StageRow> stages;  // in the order in which they began; of each course the last may be in hand
  std::uint32_t stages_ended = 0;
  std::optional<CheckpointMark> checkpoint;
  std::uint32_t questions_asked = 0;
  bool preparing = false;              // before the first stage
  std::optional<Prepared> prepared;    // not set: the run needs no preparation, or it is not over
  std::vector<std::string> abandoned;  // child runs that are to be cancelled, also after a crash
  std::string traceparent;             // W3C Trace Context; empty: none
  std::uint32_t artifact_count = 0;
  UsageTotal usage;
  Hindsight hindsight;

  Frame& own() { return frames.begin()->second; }
  const Frame& own() const { return frames.begin()->second; }
};

// A stage has been entered and has not ended.
inline bool HasStageInHand(const Cursor& cursor) {
  return cursor.phase == Phase::kExecuting || cursor.phase == Phase::kRetryWait ||
         cursor.phase == Phase::kTimer || cursor.phase == Phase::kAsking ||
         cursor.phase == Phase::kParallel || cursor.phase == Phase::kChild;
}

// "fix" for the first visit, then "fix-2" ...; no node id holds a hyphen.
std::string StageIdOf(const workflow::Node& node, std::uint32_t visit);
std::string StageIdOf(const workflow::Graph& graph, const StageRow& row);
std::string QuestionIdOf(std::uint32_t number);  // "q-1"

// The last stage as the course sees it: its own, else that of the course it branched off.
const LastStage& LastOf(const RunState& state, const Frame& frame);

// A value of the course's context; null: none.
const std::string* FindValue(const RunState& state, const Frame& frame, std::string_view key);

// The first node of the graph that was visited, must succeed, and did not the last time. Null: none.
const workflow::Node* FindUnsatisfiedGate(const workflow::Graph& graph, const RunState& state);

}  // namespace fabro::engine
