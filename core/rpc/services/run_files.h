// What a run changed in its git repository.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/base/ids.h"
#include "core/engine/preparation.h"
#include "core/git/diff.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/services.h"

namespace fabro::rpc {

struct FilesQuery {
  Page page;
  std::string checkpoint;  // a checkpoint's id, node or commit; empty: all that the run changed
};

// Paths and texts are redacted, and valid UTF-8. No files for a run that works in no repository; NotFound
// when there is no such checkpoint, or the repository or the commits have gone.
Task<absl::StatusOr<git::DiffPage>> ReadRunFiles(Backend backend, RunId run,
                                                 std::optional<engine::Prepared> prepared, FilesQuery query);

}  // namespace fabro::rpc
