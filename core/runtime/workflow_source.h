// Where child workflows are found by their path.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/async/task.h"

namespace fabro::runtime {

// Thread-safe.
class WorkflowSource {
 public:
  virtual ~WorkflowSource() = default;

  // The DOT text of the file, which lies inside the workflow folders and nowhere else: NotFound when it does
  // not, with a message that names the path. Unavailable when it may be read later.
  virtual Task<absl::StatusOr<std::string>> ReadWorkflow(std::string path) = 0;
};

}  // namespace fabro::runtime
