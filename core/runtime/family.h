// What a run's actor asks about other runs: those that its stages began, and the one that began it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/engine/input.h"
#include "core/engine/output.h"
#include "core/storage/run_row.h"

namespace fabro::runtime {

// How many runs may stand above one another: a run, its child, that one's child ...
inline constexpr int kMaxDepth = 8;

// Thread-safe.
class Family {
 public:
  virtual ~Family() = default;

  // Makes the child unless it is there already; gives the id of its first node. InvalidArgument, NotFound and
  // FailedPrecondition are for good, Unavailable and ResourceExhausted may pass.
  virtual Task<absl::StatusOr<std::string>> StartChild(storage::RunRow parent, engine::StartChild child) = 0;

  // ChildFinished or ChildObserved. NotFound: somebody deleted it.
  virtual Task<absl::StatusOr<engine::Input>> LookAtChild(engine::CheckChild child) = 0;

  // OK as well when it has ended or is not there.
  virtual Task<absl::Status> CancelChild(RunId child, RunId parent) = 0;

  // At most once, and it may be lost: the parent looks for itself from time to time.
  virtual void TellParent(RunId parent, engine::ChildFinished finished) = 0;
};

// How the run ended, for its parent.
engine::ChildFinished EndOf(const storage::RunRow& row);

}  // namespace fabro::runtime
