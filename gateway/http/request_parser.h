// One request from bytes: a strict check of the head (head_check.h), then Boost.Beast's parser, whose header
// stays in the .cc.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/http/head_check.h"
#include "gateway/http/limits.h"
#include "gateway/http/message.h"

namespace fabro::http {

// Good for one request; not thread-safe.
class RequestParser {
 public:
  explicit RequestParser(const HttpLimits& limits);
  ~RequestParser();

  struct Progress {
    std::size_t consumed = 0;    // bytes of the input that are no longer needed
    std::optional<Fault> fault;  // the connection cannot go on after it
  };
  // Takes what it can of the bytes not consumed so far. Before the head is complete it consumes nothing, so
  // the caller keeps the bytes and offers them again with more.
  Progress Feed(std::string_view input);

  bool head_done() const;          // the head is known, the body may follow
  bool done() const;               // the whole request is here
  bool keep_alive() const;         // the client allows another request on this connection
  bool expects_continue() const;   // the client waits for "100 Continue" before it sends the body
  const Request& request() const;  // complete but for the body once head_done()
  Request Take();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabro::http
