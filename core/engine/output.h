// What a run's decision consists of: records to commit, and effects to perform once they are durable.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/engine/artifact.h"
#include "core/engine/input.h"
#include "core/engine/preparation.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

// One entry of a run's log: an encoded fabro.v1.Event and an encoded fabro.internal.v1.StateDelta (often
// empty).
struct Record {
  std::string event;
  std::string delta;
  bool operator==(const Record&) const = default;
};

// Run a stage's attempt and answer with StageFinished. Its StageStarted event is among the records. Parallel
// branches have one execution each.
struct ExecuteStage {
  ExecutionId execution{};
  const workflow::Node* node = nullptr;  // in the run's graph; what to do is told by its kind and attributes
  std::string stage_id;                  // unique in the run, the same for all attempts: "fix", "fix-2" ...
  std::uint32_t visit = 1;               // how often the node has been entered, this time included
  std::uint32_t attempt = 1;             // counts from 1, over all reasons to run again
  std::uint32_t max_attempts = 1;
  std::uint32_t stages_ended = 0;           // of the run, before this one
  std::string branch;                       // that the stage belongs to; empty: the run's own course
  std::vector<std::string> outer_branches;  // that this branch is in, the innermost first
  std::string adopt_branch;                 // of a fan-in: the branch whose files go on; empty: none
  std::string restore_sha;  // the commit whose files it begins with, after a rewind; empty: as they are
  std::string traceparent;  // W3C Trace Context; empty: none
  Prepared prepared;        // what the run's preparation left
  // Of a model stage: how much it is told, in which conversation (empty: none), and what.
  workflow::Fidelity fidelity = workflow::Fidelity::kCompact;
  std::string thread_id;
  std::string preamble;
  std::string text;  // a command's script or a model's prompt, `$goal` replaced
  std::optional<std::chrono::milliseconds> timeout;  // always set for a command
  std::vector<std::pair<std::string, std::string>>
      environment;  // FABRO_RUN_ID, FABRO_STAGE_ID, FABRO_ATTEMPT, and TRACEPARENT where there is one
};

// End the execution: SIGTERM to its process group, SIGKILL after the grace. What it still says is ignored.
struct CancelStage {
  ExecutionId execution{};
  std::chrono::milliseconds grace{0};
};

// Prepare the run, tell what happens with PreparationTold and answer with RunPrepared. May come again after a
// crash.
struct PrepareRun {};
struct CancelPreparation {};

// Make the child run if it is not there, and answer with ChildStarted or ChildRefused.
struct StartChild {
  RunId child;
  const workflow::Node* node = nullptr;  // tells the source
  std::string work_dir;                  // where the parent's stages run
};
// Answer with ChildFinished, or with ChildObserved.
struct CheckChild {
  RunId child;
  const workflow::Node* node = nullptr;  // tells the stop condition
};
struct CancelChild {
  RunId child;
};

// Nothing from outside is needed for the next step: call Handle(Continue{}) when it suits.
struct ContinueStep {};

// The run only waits (for an answer, a time, its unpause): it gives its slot back and may leave memory.
// Whatever it waits for may be handled without a slot.
struct Park {};

// The run has work again and holds no slot: queue it, ahead of new runs, then Handle(Resume{}).
struct RequestSlot {};

// The run is terminal; it gives its slot back if it holds one.
struct RunFinished {};

using Effect = std::variant<ExecuteStage, CancelStage, PrepareRun, CancelPreparation, StartChild, CheckChild,
                            CancelChild, ContinueStep, Park, RequestSlot, RunFinished>;

// What the events of an output say was used, by every attempt of a stage.
struct Spent {
  std::chrono::milliseconds runtime{0};
  std::vector<StageUsage> calls;  // of the stages that called a model
};

struct Output {
  std::vector<Record> records;
  std::vector<Artifact> artifacts;  // that the records name; to be stored with them
  Spent spent;
  std::vector<Effect> effects;  // perform in this order, after the records are durable
  absl::Status
      refusal;  // not OK: the command was refused, with the answer's Reason and text; nothing else is set
};

}  // namespace fabro::engine
