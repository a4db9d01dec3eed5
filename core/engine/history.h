// A run's log read for its checkpoints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/time.h"
#include "core/engine/machine.h"

namespace fabro::engine {

// A checkpoint that a run can be taken back to or forked from: one of its own course. In a parallel branch
// there are others, but there is no going on from the middle of several courses.
struct CheckpointEntry {
  EventSeq id{};  // of its event
  Timestamp at;
  std::string node_id;
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::string git_commit_sha;  // empty: none
};

// Nothing when the record is no such checkpoint. DataLoss when it is not readable.
absl::StatusOr<std::optional<CheckpointEntry>> CheckpointIn(const RecordView& record);

}  // namespace fabro::engine
