// What happens before a run's first stage and after its last: its sandbox, its git worktree, its set-up
// commands and its run_start, run_complete and run_failed hooks.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/async/task.h"
#include "core/base/ids.h"
#include "core/config/run_settings.h"
#include "core/engine/preparation.h"

namespace fabro::stages {

struct RunContext {
  RunId run;
  std::string workflow_name;
  std::string goal;
  std::string work_dir;     // what the settings or the default say, before the preparation
  std::string traceparent;  // W3C Trace Context; empty: none
  std::string start_sha;    // of a fork: the commit that its worktree begins with; empty: the folder's own
  std::shared_ptr<const config::RunSettings> settings;
};

// Where the steps of a preparation go; Tell returns when the step is durable.
class PreparationSink {
 public:
  virtual ~PreparationSink() = default;
  virtual Task<void> Tell(engine::PreparationStep step) = 0;
};

class RunPreparer {
 public:
  virtual ~RunPreparer() = default;

  // Whether there is anything to do for the run, before or after; else neither of the others is called, and
  // it starts at once.
  virtual bool IsNeeded(const RunContext& context) const = 0;

  // Never fails: what goes wrong is a result with a failure. May be repeated after a crash, also in part.
  // Cancelling the caller stops it; this returns when nothing of it is left.
  virtual Task<engine::Prepared> Prepare(RunContext context, PreparationSink* sink) = 0;

  // After the run's last event, at least once, unless it never began: hooks that tell of the end, and what
  // the run leaves behind. `prepared` has the working directory only when the preparation was not over.
  // Cancelling the caller stops it, and it comes again at the next start.
  virtual Task<void> CleanUp(RunContext context, engine::Prepared prepared, engine::RunEnd end) = 0;
};

}  // namespace fabro::stages
