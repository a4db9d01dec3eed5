// One run as a state machine: inputs in, records and effects out.
//
// Pure: no I/O, no thread, no clock and no randomness of its own. Not thread-safe; owned by the run's actor,
// which commits the records of one or several Handle calls in one transaction, and only then publishes the
// events and performs the effects. Handle folds its own events at once, so after a commit that failed the
// machine is worthless: throw it away and Restore it from what is stored.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/base/run_status.h"
#include "core/base/time.h"
#include "core/engine/input.h"
#include "core/engine/output.h"
#include "core/engine/views.h"
#include "core/workflow/condition.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

// What a run is made from; never changes afterwards.
struct RunSeed {
  RunId id;
  std::shared_ptr<const workflow::Graph> graph;  // the run and its stages read it
  std::string goal;                              // empty: the graph's
  std::string work_dir;                          // the context's internal.work_dir
  bool simulate_models = true;                   // agent and prompt stages answer a fixed text at once
  std::string traceparent;                       // W3C Trace Context; empty: none
};

// A stage's attempt that goes on.
struct ExecutionView {
  ExecutionId execution{};
  std::string stage_id;
  std::string_view node_id;
};

// A record as it is read back; the bytes need only live during the call.
struct RecordView {
  std::string_view event;
  std::string_view delta;
};

// Where a forked run comes from.
struct ForkOrigin {
  RunId run;
  std::uint64_t checkpoint = 0;  // the id of its event there
  std::string state;             // Machine::Snapshot of that run at that event
  bool prepare = false;          // PrepareRun comes before anything else
};

// What a run wants of the scheduler, for the run's row. A machine that was just restored between two attempts
// counts as active: its slot may be the reason why it was, and Resume parks it again when its time has not
// come.
enum class Activity : std::uint8_t {
  kQueued,  // never had a slot
  kActive,  // holds a slot, or wants one back
  kParked,  // waits for an answer, a time (wake_at) or its unpause
  kEnded,   // terminal
};

class Machine {
 public:
  // A new run: queued, head 0, no records yet.
  static Machine Create(RunSeed seed);

  // A run from its latest snapshot (empty: none) and the records after it, in order. DataLoss when they do
  // not fit each other or the graph.
  static absl::StatusOr<Machine> Restore(RunSeed seed, std::string_view snapshot,
                                         std::span<const RecordView> tail);

  Machine(Machine&&) noexcept;
  Machine& operator=(Machine&&) noexcept;
  ~Machine();

  // Decides and applies. Inputs that the state has no use for (a late StageFinished, an early TimerDue, a
  // second Start) give an empty output. Takes time independent of the run's length, but for the end of a run
  // whose goal gates are checked.
  Output Handle(const Input& input, Timestamp now, Random& random);

  // A new run goes on where another one was: it is running and waits for a slot, and Resume lets it go. Once,
  // instead of Start.
  Output StartFork(const ForkOrigin& origin, Timestamp now);

  // Goes on reading a log, after Restore. DataLoss as there.
  absl::Status Follow(std::span<const RecordView> records);

  RunStatus status() const;
  EventSeq head() const;  // id of the last event
  Activity activity() const;
  // When to Handle(TimerDue). Nothing while paused: a time that passes meanwhile counts at the unpause.
  std::optional<Timestamp> wake_at() const;

  std::optional<Timestamp> started_at() const;
  std::optional<Timestamp> finished_at() const;
  std::string_view outcome() const;          // "success" ...; empty before the end
  std::optional<std::string> error() const;  // of a failed run
  // Of the run's own course: the node in hand, or the next one; empty before the start.
  std::string_view current_node() const;
  const std::string& start_node() const;            // the first of the graph
  std::uint32_t stage_count() const;                // stages ended so far
  bool simulated() const;                           // some stage's model is simulated
  std::string_view question_text() const;           // of the oldest open question; empty: none
  std::chrono::milliseconds stall_timeout() const;  // 0: no watchdog
  // Whether the execution goes on and its StageFinished is awaited.
  bool IsExecuting(ExecutionId execution) const;
  std::vector<ExecutionView> Executions() const;  // ... all that do, oldest first

  const std::optional<Prepared>& prepared() const;  // nothing: it needs no preparation, or that is not over
  const std::string& traceparent() const;           // of its start; empty: none
  const std::string& restore_sha() const;           // the commit whose files the next stage begins with
  bool IsExecutingPreparation() const;              // its RunPrepared is awaited
  std::vector<RunId> AbandonedChildren() const;     // child runs that are to be cancelled
  bool Holds(const workflow::Condition& condition) const;  // over the context of the run's own course

  std::vector<QuestionView> OpenQuestions() const;   // oldest first
  std::vector<StageView> Stages() const;             // oldest first
  std::string ContextJson() const;                   // object; of the run's own course
  std::optional<CheckpointView> Checkpoint() const;  // nothing before the first
  HindsightView Hindsight() const;                   // once terminal

  // The whole state as bytes for Restore. Equal states give equal bytes.
  std::string Snapshot() const;
  // A snapshot when the records since the last one outweigh it, so that the cost per record stays constant
  // and a restore reads little more than twice the state. To be committed with the records handled so far.
  std::optional<std::string> MaybeSnapshot();

 private:
  struct Impl;
  explicit Machine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabro::engine
