// A bounded queue between coroutines (or from a thread to a coroutine). Thread-safe.
#pragma once

#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"

namespace fabro {

// Full: Send waits, TrySend refuses. After Close, senders are refused and receivers get what is left, then
// Cancelled.
template <typename T>
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity) {}

  // False when full or closed.
  bool TrySend(T value) { return Push(std::move(value), capacity_); }

  // Whatever the capacity: for senders that are few by their nature. False when closed.
  bool SendBeyondCapacity(T value) { return Push(std::move(value), std::numeric_limits<std::size_t>::max()); }

  // Cancelled when the coroutine is cancelled or the channel is closed.
  Task<absl::Status> Send(T value) {
    while (true) {
      std::shared_ptr<Waiter> wait;
      std::shared_ptr<Waiter> receiver;
      {
        MutexLock lock(&mutex_);
        if (closed_) co_return Cancelled("the channel is closed");
        if (Put(value, capacity_)) {
          receiver = TakeFirst(receivers_);
        } else {
          wait = std::make_shared<Waiter>();
          senders_.push_back(wait);
        }
      }
      if (receiver) receiver->Complete(absl::OkStatus());
      if (!wait) co_return absl::OkStatus();
      absl::Status status = co_await wait->Wait();
      if (!status.ok()) {
        Forget(senders_, wait);
        co_return status;
      }
    }
  }

  // The next item, oldest first. Cancelled when cancelled, or closed and empty.
  Task<absl::StatusOr<T>> Receive() {
    while (true) {
      std::shared_ptr<Waiter> wait;
      std::shared_ptr<Waiter> sender;
      std::optional<T> value;
      {
        MutexLock lock(&mutex_);
        if (!items_.empty()) {
          value = std::move(items_.front());
          items_.pop_front();
          sender = TakeFirst(senders_);
        } else if (closed_) {
          co_return Cancelled("the channel is closed");
        } else {
          wait = std::make_shared<Waiter>();
          receivers_.push_back(wait);
        }
      }
      if (sender) sender->Complete(absl::OkStatus());
      if (value) co_return *std::move(value);
      absl::Status status = co_await wait->Wait();
      if (!status.ok()) {
        Forget(receivers_, wait);
        co_return status;
      }
    }
  }

  // The next item if there is one now.
  std::optional<T> TryReceive() {
    std::shared_ptr<Waiter> sender;
    std::optional<T> value;
    {
      MutexLock lock(&mutex_);
      if (items_.empty()) return std::nullopt;
      value = std::move(items_.front());
      items_.pop_front();
      sender = TakeFirst(senders_);
    }
    if (sender) sender->Complete(absl::OkStatus());
    return value;
  }

  bool empty() {
    MutexLock lock(&mutex_);
    return items_.empty();
  }

  void Close() {
    std::deque<std::shared_ptr<Waiter>> waiting;
    {
      MutexLock lock(&mutex_);
      closed_ = true;
      waiting = std::exchange(receivers_, {});
      for (auto& sender : std::exchange(senders_, {})) waiting.push_back(std::move(sender));
    }
    for (const auto& waiter : waiting) waiter->Complete(absl::OkStatus());  // they look again
  }

 private:
  bool Push(T value, std::size_t capacity) {
    std::shared_ptr<Waiter> receiver;
    {
      MutexLock lock(&mutex_);
      if (closed_ || !Put(value, capacity)) return false;
      receiver = TakeFirst(receivers_);
    }
    if (receiver) receiver->Complete(absl::OkStatus());
    return true;
  }

  using Waiters = std::deque<std::shared_ptr<Waiter>>;

  // Takes the value when there is room.
  bool Put(T& value, std::size_t capacity) REQUIRES(mutex_) {
    if (items_.size() >= capacity) return false;
    items_.push_back(std::move(value));
    return true;
  }

  std::shared_ptr<Waiter> TakeFirst(Waiters& waiters) REQUIRES(mutex_) {
    if (waiters.empty()) return nullptr;
    std::shared_ptr<Waiter> first = std::move(waiters.front());
    waiters.pop_front();
    return first;
  }

  // A cancelled waiter leaves the queue; had its turn come already, the turn goes to the next.
  void Forget(Waiters& waiters, const std::shared_ptr<Waiter>& waiter) {
    std::shared_ptr<Waiter> next;
    {
      MutexLock lock(&mutex_);
      if (std::erase(waiters, waiter) == 0) next = TakeFirst(waiters);
    }
    if (next) next->Complete(absl::OkStatus());
  }

  const std::size_t capacity_;
  Mutex mutex_;
  std::deque<T> items_ GUARDED_BY(mutex_);
  Waiters receivers_;  // guarded by mutex_; passed by reference to the helpers above
  Waiters senders_;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace fabro
