// Stages of a run that works in a git worktree: each works in its course's worktree and is committed.
#pragma once

#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/events/redactor.h"
#include "core/git/worker.h"
#include "core/stages/stage_runner.h"

namespace fabro::stages {

// Thread-safe. Wraps the runner that does the work. A stage begins in the files as the one before it, or a
// crash, left them, unless it is told a commit to begin with; what it leaves is committed however it ended,
// except when it was cancelled. A parallel branch gets a worktree of its own when its first stage begins,
// with the files of the course that it comes from. A fan-in takes over the branch that it is told, and does
// no more. The run's own checkout is never touched: all of this is in worktrees of the run's.
class GitStages final : public StageRunner {
 public:
  static constexpr std::size_t kMaxFilesTouched = 1000;  // named in an outcome

  GitStages(StageRunner& work, git::Worker& worker, const Clock& clock, const events::Redactor& redactor,
            std::string runs_dir)
      : work_(work), worker_(worker), clock_(clock), redactor_(redactor), runs_dir_(std::move(runs_dir)) {}

  Task<engine::Outcome> Run(StageRequest request, StageOutputSink* sink) override;

 private:
  struct Begun;

  absl::StatusOr<Begun> Begin(const StageRequest& request, const git::Stop& stop);
  absl::Status MakeOuter(const StageRequest& request, const git::Stop& stop);
  Task<engine::Outcome> Work(StageRequest request, Begun begun, StageOutputSink* sink);
  Task<engine::Outcome> Adopt(StageRequest request, Begun begun);
  engine::Outcome FailedBy(const absl::Status& status) const;
  void Tell(const std::vector<std::string>& paths, engine::Outcome* outcome) const;

  StageRunner& work_;
  git::Worker& worker_;
  const Clock& clock_;
  const events::Redactor& redactor_;
  const std::string runs_dir_;
  Mutex making_;  // held by the one thread that makes a branch from its course's worktree
};

}  // namespace fabro::stages
