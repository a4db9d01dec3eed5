// What actors and their supervisor share: collaborators, and the run as it is loaded.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/executor.h"
#include "core/async/sleep.h"
#include "core/base/random.h"
#include "core/config/run_settings.h"
#include "core/engine/machine.h"
#include "core/runtime/workflow_source.h"
#include "core/scheduler/admission.h"
#include "core/stages/run_preparer.h"
#include "core/stages/stage_runner.h"
#include "core/stages/worktrees.h"
#include "core/storage/store.h"
#include "core/workflow/variables.h"

namespace fabro::events {
class EventHub;
}
namespace fabro::scheduler {
class Timers;
}

namespace fabro::runtime {

struct Limits {
  int steps_per_commit = 8;            // steps that need nothing from outside share a transaction
  std::size_t inputs_per_commit = 64;  // so do inputs that arrive together
  std::size_t inbox = 256;             // waiting inputs of one run; more are refused
};

// References to what outlives every actor.
struct Work {
  Executor executor;
  storage::Store& store;
  TimeSource& time;
  Random& random;
  stages::StageRunner& stages;
  events::EventHub& hub;
  scheduler::Admission& admission;
  scheduler::Timers& timers;
  std::string runs_dir;  // STORAGE/runs
  std::vector<std::pair<std::string, std::string>> stage_environment;
  Limits limits;
  stages::RunPreparer* preparer = nullptr;  // null: runs need no preparation and leave nothing behind
  WorkflowSource* workflows = nullptr;      // null: child workflows have no paths
  stages::Worktrees* worktrees = nullptr;   // null: deleting a run's folder is all there is to it
};

// What of a run is not in its machine.
struct LoadedRun {
  engine::Machine machine;
  storage::RunRow row;
  std::string work_dir;
  std::shared_ptr<const workflow::Graph> graph;
  std::shared_ptr<const config::RunSettings> settings;  // never null
};

std::string DefaultWorkDir(const std::string& runs_dir, RunId run);  // RUNS/ID/work

absl::StatusOr<workflow::Variables> ParseVariables(const std::string& vars_json);

// Rebuilds a run from what is stored. DataLoss when it does not fit together.
absl::StatusOr<LoadedRun> Rebuild(storage::LoadedRun stored, const std::string& runs_dir);

}  // namespace fabro::runtime
