// Worktrees with a branch each: making them, putting them back, committing what is in them, removing them.
// Hooks of the repository do not run, and filters that are programs do not apply. Submodules stay empty, and
// are committed as they were; repositories that a stage made inside the tree are passed over.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/time.h"
#include "core/git/globs.h"
#include "core/git/stop.h"

namespace fabro::git {

struct Worktree {
  std::string repository;  // the git folder that all worktrees share
  std::string path;        // absolute; nobody else's
  std::string name;        // what the repository calls it
  std::string branch;      // "fabro/run/ID"
};

// Makes the worktree where it is not there or only in part, and its branch, at start_sha, where there is
// none. Answers where the branch stands. What a program that was killed in it left locked is unlocked: nobody
// works there now.
absl::StatusOr<std::string> MakeWorktree(const Worktree& worktree, const std::string& start_sha,
                                         const Stop& stop);

// Its branch alone, where there is none.
absl::Status MakeBranch(const Worktree& worktree, const std::string& start_sha);

// Gives it the files of a commit, and its branch. Files that are ignored or that `kept` matches stay.
absl::Status ResetWorktree(const Worktree& worktree, const std::string& sha, const Globs& kept,
                           const Stop& stop);

// The commit that is checked out there.
absl::StatusOr<std::string> HeadOf(const Worktree& worktree);

struct CommitOrder {
  std::string message;
  Globs excluded;  // stay as they were in the commit before
  Timestamp at;
};
struct Committed {
  std::string sha;  // of the commit that holds what is in the tree; the one before when nothing changed
  std::vector<std::string> too_large;  // paths that were left out
};
inline constexpr std::size_t kMaxFileBytes = 100 << 20;

// The branch is at the commit, and checked out, whatever the last stage had checked out; its commits are
// among the ancestors.
absl::StatusOr<Committed> CommitWorktree(const Worktree& worktree, const CommitOrder& order,
                                         const Stop& stop);

// Its folder, and what the repository knows of it; also what is there in part. The branch stays.
absl::Status RemoveWorktree(const Worktree& worktree);

// A folder of ours with all that is in it, read-only folders too. Nothing to do when it is not there.
absl::Status RemoveFolder(const std::string& folder);

// Branches whose names begin so.
absl::Status DeleteBranches(const std::string& repository, const std::string& prefix);

}  // namespace fabro::git
