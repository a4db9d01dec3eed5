// Puts the files that a workflow names into its source, since a source that is sent has no folder.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fabro::cli {

inline constexpr std::size_t kMaxInlinedBytes = 256 << 10;  // of one file
inline constexpr std::size_t kMaxSourceBytes = 1 << 20;     // what the server takes

// Reads a file by its path as written, without the '@'.
using ReadReference = std::function<absl::StatusOr<std::string>(std::string_view path)>;

// Replaces each `prompt="@path"` by the file's text as a quoted string. Lines keep their numbers, so
// diagnostics still point to the right place. Comments and other attributes are left alone; what is no proper
// source is passed on as it is, for the server to say what is wrong. InvalidArgument "FILE:LINE: ..." when a
// file cannot be read.
absl::StatusOr<std::string> InlineFiles(std::string_view source, std::string_view file,
                                        const ReadReference& read);

// Reads the workflow at `path` and inlines files of its folder. A reference that leads out of the folder,
// also through a symbolic link, is refused: a workflow of somebody else must not send files of this machine
// to a server.
absl::StatusOr<std::string> ReadWorkflow(const std::string& path);

}  // namespace fabro::cli
