// A look back at a run that has ended: what its log says, in numbers and by rule.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "core/async/task.h"
#include "core/base/run_status.h"
#include "core/runtime/work.h"
#include "core/storage/store.h"

namespace fabro::v1 {
class RetroDetail;
enum SmoothnessRating : int;
}  // namespace fabro::v1

namespace fabro::rpc {

// What the rating depends on.
struct RetroFacts {
  RunStatus status = RunStatus::kCompleted;  // terminal
  bool is_partial = false;                   // it ended well, but not wholly
  std::int32_t friction_points = 0;
};

// Failed: it did not come to a good end. Otherwise by friction points: none, effortless; one, smooth; up to
// four, bumpy; more, struggled. What ended well only in part is bumpy at best.
v1::SmoothnessRating SmoothnessOf(const RetroFacts& facts);

// Of a run that has ended; DataLoss when its log is not readable. Each execution of a node counts, also what
// a rewind took back; a fork leaves out what was before it.
Task<absl::Status> TellRetro(storage::Store& store, runtime::LoadedRun run, v1::RetroDetail& out);

}  // namespace fabro::rpc
