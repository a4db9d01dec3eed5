// What the worktrees of a run are called, on disk and in the repository, and what is written with their
// commits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/git/worktree.h"

namespace fabro::stages {

// The run's own worktree is RUNS/ID/tree, with the branch fabro/run/ID; that of a parallel branch is
// RUNS/ID/trees/NAME, with fabro/branches/ID/NAME.
class RunTrees {
 public:
  // The git folder of the repository may be empty when only paths are asked for.
  RunTrees(const std::string& runs_dir, RunId run, std::string repository);

  git::Worktree Own() const;
  git::Worktree Branch(std::string_view name) const;
  git::Worktree Course(std::string_view name) const { return name.empty() ? Own() : Branch(name); }

  // The worktrees of branches that are there, on disk or in the repository, whole or not.
  std::vector<git::Worktree> FindBranches() const;

  const std::string& repository() const { return repository_; }
  std::string branches_folder() const;  // RUNS/ID/trees
  std::string branches_prefix() const;  // "fabro/branches/ID/"

 private:
  git::Worktree BranchFiled(const std::string& plain) const;

  std::string id_;
  std::string folder_;
  std::string repository_;
};

// "fabro: build (success)", and the trailers Fabro-Run, Fabro-Stage and Fabro-Completed: how many stages of
// the run have ended with this one.
std::string StageMessage(RunId run, std::string_view stage_id, std::string_view status,
                         std::uint32_t completed);
// Of a commit that belongs to no stage.
std::string RunMessage(RunId run, std::string_view what);

}  // namespace fabro::stages
