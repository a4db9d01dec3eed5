// Accepts HTTP/1.1 connections on one address and serves them until it is told to stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "core/async/sleep.h"
#include "gateway/http/access_log.h"
#include "gateway/http/limits.h"
#include "gateway/http/message.h"

namespace fabro {
class Runtime;
}

namespace fabro::http {

class ServerTls;

struct ListenerOptions {
  std::string host = "127.0.0.1";  // a name or an address
  std::uint16_t port = 0;          // 0: the kernel's choice, see port()
  HttpLimits limits;
  ServerTls* tls = nullptr;  // null: plain HTTP. Outlives the listener
  AccessLog access_log;      // called from many threads; may be empty
};

// Thread-safe. The runtime, the time source and the handler outlive it.
class Listener {
 public:
  Listener(Runtime& runtime, TimeSource& time, ListenerOptions options);
  ~Listener();  // stopped first, or never started
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Takes the address; clients may connect, but nobody answers yet. Unavailable when the address is taken.
  absl::Status Bind();
  std::uint16_t port() const;  // after Bind

  // Begins to answer. Once, after Bind.
  void Start(Handler& handler);

  // Accepts no more; idle connections close, the others after the answer they are at. At once.
  void Drain();

  // Drain, then waits for what is in flight for at most `grace`, then cuts it off. Blocks; not from a
  // coroutine.
  void Stop(std::chrono::milliseconds grace);

  std::size_t connections() const;  // open now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabro::http
