// Wakes runs whose time has come. What is due is read from the store, so a restart keeps every due time, and
// a million waiting runs cost no memory.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/async/sleep.h"
#include "core/async/task.h"
#include "core/async/waiter.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/time.h"

namespace fabro::storage {
class Store;
}

namespace fabro::scheduler {

// Arm is thread-safe; Run is spawned once.
class Timers {
 public:
  // Handles the timers of these runs; returns when each is dealt with, well or not.
  using Handler = std::function<Task<void>(std::vector<RunId>)>;

  Timers(storage::Store& store, TimeSource& time, Handler on_due);

  // A run now waits until `at`: looks earlier than planned if need be.
  void Arm(Timestamp at);

  // Until cancelled.
  Task<void> Run();

 private:
  std::shared_ptr<Waiter> NextRound();

  storage::Store& store_;
  TimeSource& time_;
  const Handler on_due_;
  Mutex mutex_;
  Timestamp planned_ GUARDED_BY(mutex_);  // when Run looks next
  std::shared_ptr<Waiter> earlier_ GUARDED_BY(mutex_);
};

}  // namespace fabro::scheduler
