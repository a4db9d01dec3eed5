#include "core/async/task_scope.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdio>
#include <exception>
#include <list>
#include <utility>
#include <vector>

#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"

namespace fabro {
namespace asio = boost::asio;

struct ScopeChild {
  explicit ScopeChild(Executor e) : executor(std::move(e)) {}
  const Executor executor;
  asio::cancellation_signal signal;  // only touched on the executor
};

namespace {

using Child = ScopeChild;

void CancelChild(const std::shared_ptr<Child>& child) {
  asio::post(child->executor, [child] { child->signal.emit(asio::cancellation_type::total); });
}

// Cancellation in here is a state that awaits report, never an exception.
Task<void> Root(Task<void> task) {
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await std::move(task);
}

}  // namespace

struct TaskScope::Impl : std::enable_shared_from_this<TaskScope::Impl> {
  explicit Impl(Executor e) : executor(std::move(e)) {}

  const Executor executor;
  Mutex mutex;
  CondVar emptied;
  std::list<std::shared_ptr<Child>> children GUARDED_BY(mutex);
  std::vector<std::shared_ptr<Waiter>> joiners GUARDED_BY(mutex);
  bool cancelled GUARDED_BY(mutex) = false;

  std::shared_ptr<Child> Start(Executor where, std::string name, Task<void> task) {
    auto child = std::make_shared<Child>(std::move(where));
    std::list<std::shared_ptr<Child>>::iterator place;
    bool stop = false;
    {
      MutexLock lock(&mutex);
      place = children.insert(children.end(), child);
      stop = cancelled;
    }
    auto self = shared_from_this();
    auto done = [self, place, child, name = std::move(name)](std::exception_ptr error) {
      if (error) Report(name, error);
      self->Finish(place);
    };
    // The slot is wired on the child's executor, where every emit happens as well.
    asio::post(child->executor, [child, task = std::move(task), done = std::move(done), stop]() mutable {
      asio::co_spawn(child->executor, Root(std::move(task)),
                     asio::bind_cancellation_slot(child->signal.slot(), std::move(done)));
      if (stop) child->signal.emit(asio::cancellation_type::total);
    });
    return child;
  }

  static void Report(const std::string& name, const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "task \"%s\" threw: %s\n", name.c_str(), e.what());
    } catch (...) {
      std::fprintf(stderr, "task \"%s\" threw\n", name.c_str());
    }
    std::terminate();
  }

  void Finish(std::list<std::shared_ptr<Child>>::iterator place) {
    std::vector<std::shared_ptr<Waiter>> ready;
    {
      MutexLock lock(&mutex);
      children.erase(place);
      if (children.empty()) {
        ready = std::exchange(joiners, {});
        emptied.NotifyAll();
      }
    }
    for (const auto& waiter : ready) waiter->Complete(absl::OkStatus());
  }
};

TaskScope::TaskScope(Executor executor) : impl_(std::make_shared<Impl>(std::move(executor))) {}

TaskScope::~TaskScope() { FABRO_CHECK(size() == 0 && "TaskScope destroyed before Join()"); }

TaskHandle TaskScope::Spawn(std::string name, Task<void> task) {
  return SpawnOn(asio::make_strand(impl_->executor), std::move(name), std::move(task));
}

TaskHandle TaskScope::SpawnOn(Executor executor, std::string name, Task<void> task) {
  TaskHandle handle;
  handle.child_ = impl_->Start(std::move(executor), std::move(name), std::move(task));
  return handle;
}

void TaskHandle::Cancel() const {
  if (child_) CancelChild(child_);
}

void TaskScope::Cancel() {
  std::vector<std::shared_ptr<Child>> children;
  {
    MutexLock lock(&impl_->mutex);
    impl_->cancelled = true;
    children.assign(impl_->children.begin(), impl_->children.end());
  }
  for (const auto& child : children) CancelChild(child);
}

Task<void> TaskScope::Join() {
  const auto impl = impl_;
  auto waiter = std::make_shared<Waiter>();
  {
    MutexLock lock(&impl->mutex);
    if (impl->children.empty()) co_return;
    impl->joiners.push_back(waiter);
  }
  (void)co_await waiter->WaitUncancelled();
}

void TaskScope::JoinBlocking() {
  MutexLock lock(&impl_->mutex);
  while (!impl_->children.empty()) impl_->emptied.Wait(&impl_->mutex);
}

std::size_t TaskScope::size() const {
  MutexLock lock(&impl_->mutex);
  return impl_->children.size();
}

}  // namespace fabro
