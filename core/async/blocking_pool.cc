#include "core/async/blocking_pool.h"

#include <pthread.h>

#include <deque>
#include <thread>
#include <vector>

#include "core/base/mutex.h"

namespace fabro {

struct BlockingPool::Impl {
  Mutex mutex;
  CondVar work_arrived;
  std::deque<std::function<void()>> queue GUARDED_BY(mutex);
  bool stopping GUARDED_BY(mutex) = false;
  std::size_t max_queued = 0;
  std::vector<std::thread> threads;  // last: joined before the rest goes

  void Loop() {
    while (true) {
      std::function<void()> work;
      {
        MutexLock lock(&mutex);
        while (queue.empty() && !stopping) work_arrived.Wait(&mutex);
        if (queue.empty()) return;
        work = std::move(queue.front());
        queue.pop_front();
      }
      work();
    }
  }
};

BlockingPool::BlockingPool(std::string name, int threads, std::size_t max_queued)
    : impl_(std::make_unique<Impl>()) {
  impl_->max_queued = max_queued;
  for (int i = 0; i < threads; ++i) {
    impl_->threads.emplace_back([this] { impl_->Loop(); });
    pthread_setname_np(impl_->threads.back().native_handle(), name.substr(0, 15).c_str());
  }
}

BlockingPool::~BlockingPool() {
  {
    MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
    impl_->work_arrived.NotifyAll();
  }
  for (std::thread& thread : impl_->threads) thread.join();
}

bool BlockingPool::TryRun(std::function<void()> work) {
  MutexLock lock(&impl_->mutex);
  if (impl_->stopping || impl_->queue.size() >= impl_->max_queued) return false;
  impl_->queue.push_back(std::move(work));
  impl_->work_arrived.NotifyOne();
  return true;
}

}  // namespace fabro
