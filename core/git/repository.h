// What is known of a repository without changing anything in it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/git/stop.h"

namespace fabro::git {

struct Place {
  std::string repository;  // the git folder that all its worktrees share
  std::string top;         // the working tree's root
  std::string below;       // the folder as seen from there; empty: the root itself
};

// The repository whose working tree the folder is in. Nothing when there is none.
absl::StatusOr<std::optional<Place>> FindRepository(const std::string& folder);

// The commit that is checked out at `top`; empty before the first one.
absl::StatusOr<std::string> HeadOf(const std::string& top);

// Where a branch stands; nothing when there is no such branch.
absl::StatusOr<std::optional<std::string>> TipOf(const std::string& repository, const std::string& branch);

absl::StatusOr<bool> HasFolder(const std::string& repository, const std::string& sha,
                               const std::string& folder);

// A path with a change that is not committed, a new file that is not ignored included; nothing when all is
// committed. The index is not written to, not even its cached times.
absl::StatusOr<std::optional<std::string>> FindChange(const std::string& top, const Stop& stop);

absl::StatusOr<bool> IsAncestor(const std::string& repository, const std::string& older,
                                const std::string& newer);

// Paths that differ between two commits, in order, at most so many.
absl::StatusOr<std::vector<std::string>> ChangedPaths(const std::string& repository, const std::string& older,
                                                      const std::string& newer, std::size_t most,
                                                      const Stop& stop);

}  // namespace fabro::git
