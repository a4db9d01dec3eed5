// What the gateway needs of the core: methods by name, messages by descriptor. The one implementation speaks
// gRPC (grpc_upstream.h); tests script their own.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/async/deadline.h"
#include "core/async/task.h"

namespace google::protobuf {
class Message;
}

namespace fabro::upstream {

struct CallOptions {
  std::string principal;  // on whose behalf: the text of a security::Principal
  std::string request_id;
  std::string traceparent;  // W3C Trace Context, passed on; empty: none
  Deadline deadline = Deadline::Never();
};

// The answers of one server-streaming call. Used by one coroutine at a time; destroying it cancels the call.
class Stream {
 public:
  virtual ~Stream() = default;

  // True with the next message, false when the stream has ended well, else why it ended. Asks the core for
  // one message more: who does not call it holds the core back. Cancelling the coroutine ends the stream.
  virtual Task<absl::StatusOr<bool>> Next(google::protobuf::Message* message) = 0;
};

// Thread-safe.
class Upstream {
 public:
  virtual ~Upstream() = default;

  // `method` is "/package.Service/Method". The messages live until it completes. An error carries the core's
  // ErrorDetail; Unavailable without a reason means that the core was not reached. Cancelling the coroutine
  // cancels the call and waits for its end.
  virtual Task<absl::Status> Call(const std::string& method, const google::protobuf::Message& request,
                                  google::protobuf::Message* response, CallOptions options) = 0;

  // Completes when the core has accepted the stream, or with the status it refused it with. The request lives
  // until then; `response` is an example of what will be read, and outlives the program's streams.
  virtual Task<absl::StatusOr<std::unique_ptr<Stream>>> OpenStream(const std::string& method,
                                                                   const google::protobuf::Message& request,
                                                                   const google::protobuf::Message& response,
                                                                   CallOptions options) = 0;
};

}  // namespace fabro::upstream
