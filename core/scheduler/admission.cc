#include "core/scheduler/admission.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace fabro::scheduler {

Admission::Admission(std::size_t slots, std::function<void(RunId)> grant)
    : grant_(std::move(grant)), slots_(slots) {}

void Admission::Start() {
  {
    MutexLock lock(&mutex_);
    granting_ = true;
  }
  GrantFree();
}

void Admission::Stop() {
  MutexLock lock(&mutex_);
  granting_ = false;
}

void Admission::Enqueue(RunId run, Class run_class, std::int32_t priority, std::int64_t key) {
  {
    MutexLock lock(&mutex_);
    if (held_.contains(run) || waiting_keys_.contains(run)) return;
    const Key place{run_class, -std::int64_t{priority}, key, run};
    waiting_.insert(place);
    waiting_keys_.emplace(run, place);
  }
  GrantFree();
}

void Admission::Leave(RunId run) {
  {
    MutexLock lock(&mutex_);
    if (const auto found = waiting_keys_.find(run); found != waiting_keys_.end()) {
      waiting_.erase(found->second);
      waiting_keys_.erase(found);
      return;
    }
    if (held_.erase(run) == 0) return;
  }
  GrantFree();
}

void Admission::SetSlots(std::size_t slots) {
  {
    MutexLock lock(&mutex_);
    slots_ = slots;
  }
  GrantFree();
}

void Admission::GrantFree() {
  while (true) {
    RunId next;
    {
      MutexLock lock(&mutex_);
      if (!granting_ || waiting_.empty() || held_.size() >= slots_) return;
      next = std::get<RunId>(*waiting_.begin());
      waiting_.erase(waiting_.begin());
      waiting_keys_.erase(next);
      held_.insert(next);
    }
    grant_(next);
  }
}

Admission::Counts Admission::counts() const {
  MutexLock lock(&mutex_);
  Counts counts;
  counts.slots = slots_;
  counts.held = held_.size();
  const auto first_new = waiting_.lower_bound(Key{Class::kNew, INT64_MIN, INT64_MIN, RunId()});
  counts.waiting_resumable = static_cast<std::size_t>(std::distance(waiting_.begin(), first_new));
  counts.waiting_new = waiting_.size() - counts.waiting_resumable;
  return counts;
}

std::optional<std::int64_t> Admission::QueuePosition(RunId run) const {
  MutexLock lock(&mutex_);
  const auto found = waiting_keys_.find(run);
  if (found == waiting_keys_.end() || std::get<Class>(found->second) != Class::kNew) return std::nullopt;
  const auto first_new = waiting_.lower_bound(Key{Class::kNew, INT64_MIN, INT64_MIN, RunId()});
  return std::distance(first_new, waiting_.find(found->second)) + 1;
}

}  // namespace fabro::scheduler
