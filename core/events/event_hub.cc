#include "core/events/event_hub.h"

#include <algorithm>
#include <utility>

namespace fabro::events {

EventHub::Subscription::Subscription(EventHub& hub, RunId run) : hub_(hub), run_(run) {
  MutexLock lock(&hub_.mutex_);
  ++hub_.topics_[run_].subscribers;
}

EventHub::Subscription::~Subscription() {
  MutexLock lock(&hub_.mutex_);
  const auto topic = hub_.topics_.find(run_);
  if (--topic->second.subscribers == 0) hub_.topics_.erase(topic);
}

Task<absl::Status> EventHub::Subscription::WaitPast(EventSeq seen) {
  std::shared_ptr<Waiter> waiter;
  {
    MutexLock lock(&hub_.mutex_);
    Topic& topic = hub_.topics_[run_];
    if (topic.head > seen) co_return absl::OkStatus();
    waiter = std::make_shared<Waiter>();
    topic.waiting.push_back(waiter);
  }
  absl::Status status = co_await waiter->Wait();
  if (!status.ok()) {
    MutexLock lock(&hub_.mutex_);
    std::erase(hub_.topics_[run_].waiting, waiter);
  }
  co_return status;
}

void EventHub::Publish(RunId run, EventSeq head) {
  std::vector<std::shared_ptr<Waiter>> ready;
  {
    MutexLock lock(&mutex_);
    const auto topic = topics_.find(run);
    if (topic == topics_.end()) return;
    topic->second.head = std::max(topic->second.head, head);
    ready = std::exchange(topic->second.waiting, {});
  }
  for (const std::shared_ptr<Waiter>& waiter : ready) waiter->Complete(absl::OkStatus());
}

std::size_t EventHub::watched_runs() const {
  MutexLock lock(&mutex_);
  return topics_.size();
}

}  // namespace fabro::events
