// Reads a workflow from disk with the files that it names, since a source that is sent has no folder.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace fabro::cli {

inline constexpr std::size_t kMaxInlinedBytes = 256 << 10;  // of one file

// The workflow at `path` with the text of each file that a prompt or goal names by `@path` in its place.
// Files are read from the workflow's folder only: a reference that leads out of it, also through a symbolic
// link, is refused, because a workflow of somebody else must not send files of this machine to a server.
absl::StatusOr<std::string> ReadWorkflow(const std::string& path);

}  // namespace fabro::cli
