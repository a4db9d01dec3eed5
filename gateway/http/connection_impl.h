// One client connection, from its first byte to its last. Private to this folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/async/executor.h"
#include "core/async/sleep.h"
#include "core/async/task.h"
#include "core/async/task_scope.h"
#include "gateway/http/access_log.h"
#include "gateway/http/limits.h"
#include "gateway/http/message.h"
#include "gateway/http/transport_impl.h"

namespace fabro::http {

// What the connections of a listener share. Outlives them.
struct Shared {
  Shared(TimeSource& t, HttpLimits l, AccessLog log, std::string security_lines);

  Handler* handler = nullptr;  // set before the first connection
  TimeSource& time;
  const HttpLimits limits;
  const AccessLog access_log;  // may be empty
  const std::string security;
  std::atomic<std::int64_t> now_ms{0};  // the steady clock as of the last tick
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> large_answers_bytes{0};  // on their way to clients
};

// Every method but Run may be called from any thread; the work happens on the connection's strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;

  // Serves requests until the connection ends.
  virtual Task<void> Run() = 0;
  // The coroutine that runs Run, to be cancelled when the client goes away. Given once, about when Run
  // begins.
  virtual void SetTask(TaskHandle task) = 0;

  virtual void CheckDeadline(std::int64_t now_ms) = 0;
  virtual void Drain() = 0;  // no further request after the one in progress
  virtual void Abort() = 0;  // now
};

// `refuse`: the server is full, every request is answered 503.
std::shared_ptr<Connection> MakeConnection(std::unique_ptr<Transport> transport, Executor strand,
                                           std::string peer, Shared& shared, bool refuse);

}  // namespace fabro::http
