// The server's preparation of its runs.
#pragma once

#include <string>

#include "core/async/blocking_pool.h"
#include "core/events/redactor.h"
#include "core/sandbox/sandboxes.h"
#include "core/stages/hooks.h"
#include "core/stages/run_preparer.h"
#include "core/stages/worktrees.h"

namespace fabro::stages {

// Thread-safe. Before the first stage, in this order: the run's worktree, its sandbox, its set-up commands,
// its run_start hooks, and what these left committed. After its last process: its run_complete or run_failed
// hooks (neither when it was cancelled), the end of all hooks beside it, its worktree. After a crash all of
// it happens again, so commands and hooks run at least once. What the commands write is in the failure's text
// only, redacted.
class Preparer final : public RunPreparer {
 public:
  Preparer(sandbox::Sandboxes& sandboxes, Worktrees& worktrees, Hooks& hooks, BlockingPool& pool,
           const events::Redactor& redactor)
      : sandboxes_(sandboxes), worktrees_(worktrees), hooks_(hooks), pool_(pool), redactor_(redactor) {}

  bool IsNeeded(const RunContext& context) const override;
  Task<engine::Prepared> Prepare(RunContext context, PreparationSink* sink) override;
  Task<void> CleanUp(RunContext context, engine::Prepared prepared, engine::RunEnd end) override;

 private:
  // Each says why the run cannot begin, in words for its owner.
  Task<absl::Status> MakeWorktree(RunContext context, PreparationSink* sink, engine::Prepared* prepared);
  Task<absl::Status> OpenSandbox(RunContext context, PreparationSink* sink, std::string work_dir);
  Task<absl::Status> SetUp(RunContext context, PreparationSink* sink, std::string work_dir);
  Task<absl::Status> SealSetup(RunContext context, engine::Prepared* prepared);
  Task<absl::Status> RunSetupCommand(RunContext context, PreparationSink* sink, std::string work_dir,
                                     std::size_t index);
  Task<absl::Status> TellOfStart(RunContext context, std::string work_dir);

  sandbox::Sandboxes& sandboxes_;
  Worktrees& worktrees_;
  Hooks& hooks_;
  BlockingPool& pool_;
  const events::Redactor& redactor_;
};

}  // namespace fabro::stages
