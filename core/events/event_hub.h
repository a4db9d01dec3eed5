// Tells stream readers that a run has new events. It carries no events: readers fetch them from the log at
// their own pace, so a slow one costs nothing.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "core/async/task.h"
#include "core/async/waiter.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace fabro::events {

// Thread-safe. Memory only for runs that somebody watches.
class EventHub {
 public:
  // One reader's interest in a run. Goes before the hub.
  class Subscription {
   public:
    Subscription(EventHub& hub, RunId run);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // Returns when a head past `seen` was published since this subscription was made: subscribe, read the
    // log, wait for what comes after the last event read. Cancelled when the coroutine is.
    Task<absl::Status> WaitPast(EventSeq seen);

   private:
    EventHub& hub_;
    const RunId run_;
  };

  // The run's events up to `head` are durable.
  void Publish(RunId run, EventSeq head);

  std::size_t watched_runs() const;

 private:
  struct Topic {
    EventSeq head{};
    int subscribers = 0;
    std::vector<std::shared_ptr<Waiter>> waiting;
  };

  mutable Mutex mutex_;
  std::unordered_map<RunId, Topic> topics_ GUARDED_BY(mutex_);
};

}  // namespace fabro::events
