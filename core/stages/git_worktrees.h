// Worktrees for runs that are given a folder in a git repository.
#pragma once

#include <string>

#include "core/base/clock.h"
#include "core/git/worker.h"
#include "core/stages/worktrees.h"

namespace fabro::stages {

class GitWorktrees final : public Worktrees {
 public:
  GitWorktrees(git::Worker& worker, const Clock& clock, std::string runs_dir)
      : worker_(worker), clock_(clock), runs_dir_(std::move(runs_dir)) {}

  bool MayNeed(const RunContext& context) const override;
  Task<absl::StatusOr<std::optional<RunWorktree>>> MakeForRun(RunContext context,
                                                              PreparationSink* sink) override;
  Task<absl::StatusOr<RunWorktree>> SealSetup(RunContext context, RunWorktree worktree) override;
  Task<absl::Status> RemoveForRun(RunContext context, engine::Prepared prepared) override;
  Task<absl::Status> ForgetRun(RunId run) override;

 private:
  git::Worker& worker_;
  const Clock& clock_;
  const std::string runs_dir_;
};

}  // namespace fabro::stages
