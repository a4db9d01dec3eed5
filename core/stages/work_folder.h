// The folder that a run's commands work in.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "core/async/blocking_pool.h"
#include "core/async/task.h"

namespace fabro::stages {

// Makes the folder and those above it where they are missing.
Task<absl::Status> MakeWorkFolder(BlockingPool& pool, std::string path);

}  // namespace fabro::stages
