// A look back at a run that has ended: what its log says, in numbers and by rule.
#pragma once

#include "absl/status/status.h"
#include "core/async/task.h"
#include "core/runtime/work.h"
#include "core/storage/store.h"

namespace fabro::v1 {
class RetroDetail;
class RetroListItem;
}  // namespace fabro::v1

namespace fabro::rpc {

// Of a run that has ended; DataLoss when its log is not readable. Each execution of a node counts, also what
// a rewind took back; a fork leaves out what was before it.
Task<absl::Status> TellRetro(storage::Store& store, runtime::LoadedRun run, v1::RetroDetail& out);

void Put(const storage::Retro& retro, v1::RetroListItem* out);

}  // namespace fabro::rpc
