// The worker threads that run every coroutine, and the loop that waits for sockets and timers.
#pragma once

#include <memory>

#include "core/async/executor.h"

namespace boost::asio {
class io_context;
}

namespace fabro {

// Thread-safe. Outlives everything that runs on it: owners join their scopes before it goes.
class Runtime {
 public:
  explicit Runtime(int threads);  // 0: no thread of its own, the caller drives context() (tests)
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  static int DefaultThreads();  // max(2, cores)

  Executor executor() const;
  boost::asio::io_context& context();  // for sockets

  void Stop();  // ends the threads; what has not run does not run. Idempotent.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabro
