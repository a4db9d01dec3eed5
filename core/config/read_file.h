// Reads a small file whole.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace fabro::config {

// NotFound when there is no such file; InvalidArgument when it is longer than max_bytes or no regular file.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

}  // namespace fabro::config
