// The repository that a git worktree belongs to.
#pragma once

#include <string>

namespace fabro::sandbox {

// Blocking. `work_dir` may hold a file `.git` instead of a folder: then its repository is elsewhere, and this
// is the folder of it. Empty when there is none, or when that repository does not know this worktree: the
// file is the command's own to write, and must not open any folder of the host.
std::string RepositoryOf(const std::string& work_dir);

}  // namespace fabro::sandbox
