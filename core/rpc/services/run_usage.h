// What a run's stages used, added up from its log.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/engine/machine.h"
#include "core/engine/outcome.h"
#include "core/runtime/work.h"
#include "core/storage/store.h"

namespace fabro::v1 {
class RunUsage;
}

namespace fabro::rpc {

// What one stage used in all of its attempts.
struct StageUse {
  std::chrono::milliseconds runtime{0};  // of the attempts, without the waits between them
  std::optional<engine::StageUsage> usage;
};

// Takes a run's records in order. Each execution of a node counts: every visit of a loop, every branch, and
// what a rewind took back.
class UsageReader {
 public:
  absl::Status Take(const engine::RecordView& record);

  const std::vector<StageUse>& stages() const { return stages_; }  // as Machine::Stages

 private:
  std::vector<StageUse> stages_;
  std::map<std::uint32_t, std::size_t> in_hand_;  // by course, into stages_
};

// Up to the last event that `run` has; DataLoss when the log is not readable. A fork leaves out what was used
// before it.
Task<absl::Status> TellUsage(storage::Store& store, runtime::LoadedRun run, v1::RunUsage& response);

}  // namespace fabro::rpc
