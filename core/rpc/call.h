// The bridge from gRPC's callback reactors to coroutines. A reactor copies nothing and decides nothing: it
// starts the handler on a strand and finishes the call with the handler's status.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/async/deadline.h"
#include "core/async/task_scope.h"
#include "core/rpc/call_metrics.h"
#include "core/security/access.h"

namespace google::protobuf {
class Message;
}
namespace grpc {
class ByteBuffer;
class CallbackServerContext;
class ServerUnaryReactor;
template <class W>
class ServerWriteReactor;
}  // namespace grpc

namespace fabro::rpc {

// What every handler knows of its call.
struct CallContext {
  std::string principal;  // who asks, as the text of a security::Principal
  std::string request_id;
  std::string traceparent;  // W3C Trace Context; empty: none
  Deadline deadline = Deadline::Never();
  std::string_view service;  // "RunService"
  std::string_view method;   // "CancelRun"
};

// What is told of every finished call.
struct CallReport {
  const CallContext& context;
  const absl::Status& status;
  std::chrono::microseconds duration;
};

struct OpenCalls {
  std::int64_t unary = 0;
  std::int64_t streams = 0;
};

// Where calls run and how they are judged; shared by all services, outlives the gRPC server.
struct Edge {
  TaskScope& scope;
  CallMetrics& metrics;
  bool metrics_open;  // GetMetrics needs no role
  OpenCalls most;     // beyond these the newest are refused at once, so that the others are answered in time
  const security::Access& access;
  std::vector<std::string> trusted_gateways;           // see PeerOf
  std::function<bool()> is_draining;                   // new calls are refused
  std::function<bool()> writes_fail;                   // calls that change something are refused
  std::function<void(const CallReport&)> on_finished;  // called on the call's strand
  // A caller lacks the role; `resource` is what the request was about. Awaited before the refusal is sent.
  std::function<Task<void>(const CallContext&, std::string resource)> on_denied;
};

using UnaryHandler = std::function<Task<absl::Status>(const CallContext& context)>;

// Runs the handler if the caller has the role that the method's options ask for and `request` keeps to the
// bounds of its field options. request and response
// belong to gRPC and live until the call is done. Client gone or deadline passed: the handler is cancelled.
grpc::ServerUnaryReactor* RunUnary(const Edge& edge, grpc::CallbackServerContext* context,
                                   std::string_view method, const google::protobuf::Message& request,
                                   UnaryHandler handler);

// Where a streaming handler writes. One message is in flight at a time, so a slow reader slows the handler.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // Sends the answer's head, so that the caller knows that the stream was accepted.
  virtual void Accept() = 0;
  // One encoded message. Cancelled when the client is gone.
  virtual Task<absl::Status> Write(std::string_view message) = 0;
};

using StreamHandler = std::function<Task<absl::Status>(const CallContext& context, StreamWriter& writer)>;

// Like RunUnary for a server stream whose messages are written as bytes (the event log holds them encoded).
grpc::ServerWriteReactor<grpc::ByteBuffer>* RunStream(const Edge& edge, grpc::CallbackServerContext* context,
                                                      std::string_view method,
                                                      const google::protobuf::Message& request,
                                                      StreamHandler handler);

// Decodes a raw request; InvalidArgument when it is no such message.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message* request);

}  // namespace fabro::rpc
