#include "core/async/waiter.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <optional>
#include <utility>

#include "core/async/executor.h"
#include "core/base/error.h"
#include "core/base/mutex.h"

namespace fabro {
namespace asio = boost::asio;

namespace {
struct Resume {
  virtual ~Resume() = default;
  virtual void Post() = 0;      // to the coroutine's executor
  virtual void Dispatch() = 0;  // at once if the executor allows
};
}  // namespace

struct Waiter::Impl {
  Mutex mutex;
  std::optional<absl::Status> result GUARDED_BY(mutex);
  std::unique_ptr<Resume> resume GUARDED_BY(mutex);

  bool Complete(absl::Status status, bool here) {
    std::unique_ptr<Resume> ready;
    {
      MutexLock lock(&mutex);
      if (result) return false;
      result = std::move(status);
      ready = std::move(resume);
    }
    if (ready && here) {
      ready->Dispatch();
    } else if (ready) {
      ready->Post();
    }
    return true;
  }

  template <typename Handler>
  void Start(Handler handler) {
    struct Typed final : Resume {
      explicit Typed(Handler h) : handler(std::move(h)), work(asio::get_associated_executor(handler)) {}
      void Post() override {
        auto executor = asio::get_associated_executor(handler);
        asio::post(executor, [h = std::move(handler)]() mutable { std::move(h)(); });
      }
      void Dispatch() override {
        auto executor = asio::get_associated_executor(handler);
        asio::dispatch(executor, [h = std::move(handler)]() mutable { std::move(h)(); });
      }
      Handler handler;
      // Keeps the pool running while only this wait is left.
      decltype(asio::prefer(std::declval<Executor>(), asio::execution::outstanding_work.tracked)) work;
    };
    auto typed = std::make_unique<Typed>(std::move(handler));
    {
      MutexLock lock(&mutex);
      if (!result) {
        resume = std::move(typed);
        return;
      }
    }
    typed->Post();
  }

  absl::Status Take() {
    MutexLock lock(&mutex);
    return *result;
  }

  bool Ready() {
    MutexLock lock(&mutex);
    return result.has_value();
  }
};

Waiter::Waiter() : impl_(std::make_shared<Impl>()) {}
Waiter::~Waiter() = default;

bool Waiter::Complete(absl::Status status) { return impl_->Complete(std::move(status), false); }
bool Waiter::CompleteHere(absl::Status status) { return impl_->Complete(std::move(status), true); }

Task<absl::Status> Waiter::Wait() {
  const std::shared_ptr<Impl> impl = impl_;  // the coroutine may outlive the Waiter object
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    impl->Complete(Cancelled("cancelled before waiting"), false);
  if (!impl->Ready()) {
    auto start = [impl](auto handler) {
      auto slot = asio::get_associated_cancellation_slot(handler);
      if (slot.is_connected()) {
        std::weak_ptr<Impl> weak = impl;
        slot.assign([weak](asio::cancellation_type) {
          if (const std::shared_ptr<Impl> alive = weak.lock())
            alive->Complete(Cancelled("cancelled while waiting"), false);
        });
      }
      impl->Start(std::move(handler));
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(start, asio::use_awaitable);
  }
  co_return impl->Take();
}

Task<absl::Status> Waiter::WaitUncancelled() {
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl->Ready()) {
    auto start = [impl](auto handler) { impl->Start(std::move(handler)); };
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(start, asio::use_awaitable);
  }
  co_return impl->Take();
}

Task<absl::Status> Waiter::WaitOrAbort(std::function<void()> on_cancel) {
  const std::shared_ptr<Impl> impl = impl_;
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (impl->Ready()) co_return impl->Take();
  // The slot keeps its handler after this wait; with the hook gone it does nothing.
  const auto hook = std::make_shared<std::function<void()>>(std::move(on_cancel));
  if (state.cancelled() != asio::cancellation_type::none) (*hook)();
  auto start = [impl, hook](auto handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([weak = std::weak_ptr<std::function<void()>>(hook)](asio::cancellation_type) {
        if (const auto alive = weak.lock()) (*alive)();
      });
    }
    impl->Start(std::move(handler));
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(start, asio::use_awaitable);
  co_return impl->Take();
}

}  // namespace fabro
