// Git worktrees of runs, as a run's preparation and clean-up see them.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/engine/preparation.h"
#include "core/stages/run_preparer.h"

namespace fabro::stages {

// What goes into engine::Prepared.
struct RunWorktree {
  std::string work_dir;    // where the run's stages work, the folder within the worktree that was asked for
  std::string repository;  // the git folder that all worktrees of the repository share
  std::string base_sha;    // where the run's branch begins
};

// Thread-safe.
class Worktrees {
 public:
  virtual ~Worktrees() = default;

  // Whether the run might get a worktree: its settings name a folder, and do not say never. Cheap.
  virtual bool MayNeed(const RunContext& context) const = 0;

  // Makes the run's worktree, or finds the one that an earlier call made, also in part, before a crash. The
  // branch that was made, or the reason why the folder itself is worked in, is told to the sink. Nothing: the
  // run works in its folder. Cancelling the caller stops it; this returns when nothing of it goes on.
  virtual Task<absl::StatusOr<std::optional<RunWorktree>>> MakeForRun(RunContext context,
                                                                      PreparationSink* sink) = 0;

  // Commits what the run's set-up left in its worktree, so that it is there after a rewind and in parallel
  // branches, and is no change of the run's. Answers the same worktree, with that commit as its base. For
  // after the last set-up command; may be repeated.
  virtual Task<absl::StatusOr<RunWorktree>> SealSetup(RunContext context, RunWorktree worktree) = 0;

  // After the run's last process has ended: its worktrees and those of its parallel branches are gone from
  // disk and from the repository, whatever had been made of them; the first stays where the settings preserve
  // it. The run's branch stays with all that was done. May be repeated.
  virtual Task<absl::Status> RemoveForRun(RunContext context, engine::Prepared prepared) = 0;

  // Before the folder of a deleted run goes: its repository knows no worktree any more that was preserved
  // there.
  virtual Task<absl::Status> ForgetRun(RunId run) = 0;
};

// Runs work in the folders they are given.
class NoWorktrees final : public Worktrees {
 public:
  bool MayNeed(const RunContext&) const override { return false; }
  Task<absl::StatusOr<std::optional<RunWorktree>>> MakeForRun(RunContext, PreparationSink*) override {
    co_return std::optional<RunWorktree>();
  }
  Task<absl::StatusOr<RunWorktree>> SealSetup(RunContext, RunWorktree worktree) override {
    co_return worktree;
  }
  Task<absl::Status> RemoveForRun(RunContext, engine::Prepared) override { co_return absl::OkStatus(); }
  Task<absl::Status> ForgetRun(RunId) override { co_return absl::OkStatus(); }
};

}  // namespace fabro::stages
