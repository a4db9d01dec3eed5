// Who may be active: a bounded number of slots and the queue before them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "core/base/ids.h"
#include "core/base/mutex.h"

namespace fabro::scheduler {

// Thread-safe. Order: runs that come back before new ones, then greater priority, then smaller key, then id.
// A run is in here at most once: waiting or holding a slot.
class Admission {
 public:
  enum class Class : std::uint8_t { kResumable, kNew };
  struct Counts {
    std::size_t slots = 0;
    std::size_t held = 0;
    std::size_t waiting_new = 0;
    std::size_t waiting_resumable = 0;
  };

  // `grant` is told of each run that got a slot, on the thread of the call that freed or asked for it,
  // outside the lock.
  Admission(std::size_t slots, std::function<void(RunId)> grant);

  void Start();  // grants nothing before
  void Stop();   // grants nothing any more; idempotent

  // Puts the run into the queue; nothing when it is in here already.
  void Enqueue(RunId run, Class run_class, std::int32_t priority, std::int64_t key);
  // Gives a slot back, or leaves the queue. Nothing when it is not in here.
  void Leave(RunId run);
  void SetSlots(
      std::size_t slots);  // fewer than are held: none is taken away, none is granted until enough are back

  Counts counts() const;
  // 1 for the next new run; nothing when the run does not wait as a new one. Linear in what waits before it.
  std::optional<std::int64_t> QueuePosition(RunId run) const;

 private:
  using Key = std::tuple<Class, std::int64_t /*negated priority*/, std::int64_t /*key*/, RunId>;

  void GrantFree();

  const std::function<void(RunId)> grant_;
  mutable Mutex mutex_;
  bool granting_ GUARDED_BY(mutex_) = false;
  std::size_t slots_ GUARDED_BY(mutex_);
  std::set<Key> waiting_ GUARDED_BY(mutex_);
  std::unordered_map<RunId, Key> waiting_keys_ GUARDED_BY(mutex_);
  std::set<RunId> held_ GUARDED_BY(mutex_);
};

}  // namespace fabro::scheduler
