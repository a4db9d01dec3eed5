// What the audit keeps of a call.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "core/async/task.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/rpc/call.h"
#include "core/storage/store.h"

namespace fabro::rpc {

// For a change to `resource` ("runs/01KAT...") that goes well: committed together with it.
storage::AppendAudit AuditOf(const CallContext& call, Timestamp now, std::string resource);
std::string ResourceOf(RunId run);  // "runs/01KAT..."

// Writes down the calls that were refused for want of a role. Who keeps trying must not fill the disk: in
// each minute the first refusal of a caller and method is kept, of kPerMinute pairs at most; the log has them
// all. Thread-safe.
class DenialRecorder {
 public:
  static constexpr std::size_t kPerMinute = 100;

  DenialRecorder(storage::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Completes when the refusal is durable or known not to be written; the call is refused either way.
  Task<void> Record(const CallContext& call, std::string resource);

 private:
  bool IsNew(const CallContext& call, Timestamp now);

  storage::Store& store_;
  const Clock& clock_;
  Mutex mutex_;
  std::int64_t minute_ GUARDED_BY(mutex_) = 0;  // since the epoch
  std::set<std::pair<std::string, std::string>> seen_ GUARDED_BY(mutex_);
};

}  // namespace fabro::rpc
