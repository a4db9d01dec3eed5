// Whether the core can do its work, by what it needs for that.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/async/sleep.h"
#include "core/async/task.h"
#include "core/base/mutex.h"
#include "core/storage/store.h"

namespace fabro::rpc {

struct ReadinessCheck {
  std::string name;  // "database", "disk", "scheduler", "sandbox"
  bool ok = false;
  std::string detail;  // for people; may be empty
};

// Thread-safe.
class Readiness {
 public:
  static constexpr std::uint64_t kLeastFreeBytes = std::uint64_t{8} << 20;

  Readiness(storage::Store& store, TimeSource& time, std::string storage_dir,
            std::function<bool()> scheduler_runs);

  // Looks at everything, the database by a write. What was found within the last second is given again: who
  // asks often does not make the disk work.
  Task<std::vector<ReadinessCheck>> Look();

  // Whether the provider that runs get without a wish of their own can be used, as it was found last.
  void SetSandbox(std::string_view provider, const absl::Status& usable);

  // Until cancelled: while writes fail it tries one each second, so that the store finds out by itself when
  // there is space again. Says in the log when it begins and when it is over.
  Task<void> WatchStorage();

 private:
  ReadinessCheck LookAtDisk() const;

  storage::Store& store_;
  TimeSource& time_;
  const std::string storage_dir_;
  const std::function<bool()> scheduler_runs_;
  Mutex mutex_;
  std::chrono::steady_clock::time_point looked_at_ GUARDED_BY(mutex_);
  std::vector<ReadinessCheck> found_ GUARDED_BY(mutex_);  // empty: not yet
  ReadinessCheck sandbox_ GUARDED_BY(mutex_){"sandbox", true, ""};
};

}  // namespace fabro::rpc
