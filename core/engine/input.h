// Everything that may happen to a run. Values; made by the run's actor.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/base/run_status.h"
#include "core/engine/outcome.h"
#include "core/engine/preparation.h"

namespace fabro::engine {

// Names one execution of a stage's attempt within its run, so that what arrives late is told apart from what
// is awaited: the id of the attempt's StageStarted event.
enum class ExecutionId : std::uint64_t {};

// A slot was granted to a queued run.
struct Start {
  bool prepare = false;  // PrepareRun comes before the first stage
};

// A slot was granted again, after parking (crashed = false) or because a server took the run over from its
// records (crashed = true). A stage that was in hand and is not executing here runs again, without using up a
// retry.
struct Resume {
  bool crashed = false;
};

// The answer to the effect ContinueStep.
struct Continue {};

// A piece of a running stage's output, redacted.
struct StageOutput {
  enum class Stream : std::uint8_t { kStdout, kStderr };
  ExecutionId execution{};
  Stream stream = Stream::kStdout;
  std::string text;
};

// The answer to the effect ExecuteStage.
struct StageFinished {
  ExecutionId execution{};
  Outcome outcome;
};

// The clock reached wake_at(). Too early or late arrivals do nothing.
struct TimerDue {};

// Commands. `by` is the principal.
struct Cancel {
  std::string by;
};
struct Pause {
  std::string by;
};
struct Unpause {
  std::string by;
};
struct Answer {
  std::string question_id;
  // The first that is given counts, in this order.
  std::optional<std::string> selected_option_key;
  std::vector<std::string> selected_option_keys;
  std::optional<std::string> value;
  std::string by;
};

// The execution has shown no sign of life for stall_timeout().
struct Stalled {
  ExecutionId execution{};
  std::chrono::seconds idle{0};
};

// What the effect PrepareRun tells on its way, and its end.
struct PreparationTold {
  PreparationStep step;
};
struct RunPrepared {
  Prepared prepared;
};

// Answers to the effect StartChild: it is there, or it cannot be.
struct ChildStarted {
  RunId child;
  std::string start_node;
};
struct ChildRefused {
  RunId child;
  Failure failure;
};

// The child run is terminal; told by its own actor, or found by CheckChild.
struct ChildFinished {
  RunId child;
  RunStatus status = RunStatus::kCompleted;
  OutcomeStatus outcome = OutcomeStatus::kSuccess;  // of a completed one
  std::string error;                                // of a failed one
  std::uint32_t stages = 0;                         // that it executed
  std::string start_node;                           // told by its own actor; CheckChild comes after the start
};

// The child goes on; found by CheckChild.
struct ChildObserved {
  RunId child;
  bool stop = false;  // the manager's condition holds for the child's context
};

// Takes the run back to a checkpoint of its own course.
struct Rewind {
  std::uint64_t checkpoint = 0;  // the id of its event
  std::string state;             // Machine::Snapshot at that event
  std::string by;
};

using Input = std::variant<Start, Resume, Continue, StageOutput, StageFinished, TimerDue, Cancel, Pause,
                           Unpause, Answer, Stalled, PreparationTold, RunPrepared, ChildStarted, ChildRefused,
                           ChildFinished, ChildObserved, Rewind>;

}  // namespace fabro::engine
