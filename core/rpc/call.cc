#include "core/rpc/call.h"

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/rpc/bounds.h"
#include "core/rpc/method_policy.h"
#include "core/rpc/peer.h"
#include "core/rpc/status.h"

namespace fabro::rpc {
namespace {

using SteadyClock = std::chrono::steady_clock;

Deadline DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto at = context.deadline();
  if (at == std::chrono::system_clock::time_point::max()) return Deadline::Never();
  const auto left = at - std::chrono::system_clock::now();
  // A caller may ask for centuries; the steady clock could not hold that.
  if (left > std::chrono::hours(24 * 365)) return Deadline::Never();
  return Deadline::In(left);
}

// At once, before a caller waits for a run that itself waits to be written.
absl::Status CannotWrite() {
  ErrorDetail detail;
  detail.reason = Reason::kStorageFailed;
  detail.retry_after = std::chrono::seconds(5);
  return Error(absl::StatusCode::kUnavailable, detail,
               "The database cannot be written now (is its disk full?); reading works. Try again later.");
}

// What both kinds of reactor do around a handler.
class Guard {
 public:
  Guard(const Edge& edge, const grpc::CallbackServerContext& context, std::string_view method,
        const google::protobuf::Message& request, bool is_stream)
      : edge_(edge),
        is_stream_(is_stream),
        open_(is_stream ? edge.metrics.streams_open : edge.metrics.unary_open),
        is_too_many_(open_.Add(1) > (is_stream ? edge.most.streams : edge.most.unary)),
        policy_(PolicyOf(request)),
        begun_(SteadyClock::now()) {
    Peer peer = PeerOf(context, edge.trusted_gateways);
    peer_status_ = peer.principal.status();
    if (peer.principal.ok()) call_.principal = *std::move(peer.principal);
    call_.request_id = std::move(peer.request_id);
    call_.traceparent = std::move(peer.traceparent);
    call_.deadline = DeadlineOf(context);
    call_.service = policy_.service;
    call_.method = method;
  }

  ~Guard() { open_.Add(-1); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  absl::Status Check(const google::protobuf::Message& request) const {
    if (edge_.is_draining()) {
      return Unavailable(Reason::kDraining, "", "The server is shutting down; try again in a moment.");
    }
    FABRO_RETURN_IF_ERROR(peer_status_);
    // Whoever asks after the server's health is answered all the same.
    if (is_too_many_ && policy_.role != security::Role::kNone) return Shed();
    if (call_.deadline.passed()) return absl::DeadlineExceededError("the deadline had passed on arrival");
    const bool is_open = edge_.metrics_open && call_.method == "GetMetrics";
    if (!is_open) FABRO_RETURN_IF_ERROR(edge_.access.Check(call_.principal, policy_.role));
    if (policy_.role >= security::Role::kOperator && !policy_.reads && edge_.writes_fail())
      return CannotWrite();
    return CheckBounds(request);
  }

  // The answer to a caller without the role.
  Task<absl::Status> Deny(std::string resource, absl::Status refusal) const {
    co_await edge_.on_denied(call_, std::move(resource));
    co_return refusal;
  }
  std::string ResourceOf(const google::protobuf::Message& request) const {
    return policy_.ResourceOf(request);
  }

  void Report(const absl::Status& status) const {
    const auto duration = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - begun_);
    edge_.metrics.Count(call_.method, status, duration, is_stream_);
    edge_.on_finished(CallReport{call_, status, duration});
  }

  const CallContext& call() const { return call_; }

 private:
  absl::Status Shed() const {
    edge_.metrics.shed.Add();
    ErrorDetail detail;
    detail.reason = Reason::kLimit;
    detail.retry_after = std::chrono::seconds(1);
    return Error(absl::StatusCode::kResourceExhausted, detail,
                 StrCat("The server answers as many ", is_stream_ ? "streams" : "requests",
                        " as it can. Try again in a moment."));
  }

  const Edge& edge_;
  const bool is_stream_;
  metrics::Gauge& open_;
  const bool is_too_many_;
  const MethodPolicy& policy_;
  const SteadyClock::time_point begun_;
  absl::Status peer_status_;
  CallContext call_;
};

// Owns itself: gRPC holds the pointer until OnDone, and the coroutine until its end, hence shared.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  static UnaryCall* Start(const Edge& edge, grpc::CallbackServerContext* context, std::string_view method,
                          const google::protobuf::Message& request, UnaryHandler handler) {
    auto call = std::make_shared<UnaryCall>(edge, *context, method, request);
    call->self_ = call;
    const absl::Status refused = call->guard_.Check(request);
    if (absl::IsPermissionDenied(refused)) {
      handler = [&guard = call->guard_, resource = call->guard_.ResourceOf(request),
                 refused](const CallContext&) { return guard.Deny(resource, refused); };
    } else if (!refused.ok()) {
      call->guard_.Report(refused);
      call->Finish(ToGrpc(refused));
      return call.get();
    }
    call->task_ = edge.scope.Spawn(std::string(method), Run(call, std::move(handler)));
    if (call->first_came_.exchange(true)) call->task_.Cancel();
    return call.get();
  }

  UnaryCall(const Edge& edge, const grpc::CallbackServerContext& context, std::string_view method,
            const google::protobuf::Message& request)
      : guard_(edge, context, method, request, false) {}

 private:
  static Task<void> Run(std::shared_ptr<UnaryCall> call, UnaryHandler handler) {
    absl::Status status = co_await handler(call->guard_.call());
    call->guard_.Report(status);
    call->Finish(ToGrpc(status));
  }

  // May come while Start still runs, on another thread: whichever is second cancels.
  void OnCancel() override {
    if (first_came_.exchange(true)) task_.Cancel();
  }
  void OnDone() override { const auto keep = std::move(self_); }

  Guard guard_;
  TaskHandle task_;
  std::atomic<bool> first_came_ = false;
  std::shared_ptr<UnaryCall> self_;
};

class StreamCall final : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public StreamWriter {
 public:
  static StreamCall* Start(const Edge& edge, grpc::CallbackServerContext* context, std::string_view method,
                           const google::protobuf::Message& request, StreamHandler handler) {
    auto call = std::make_shared<StreamCall>(edge, *context, method, request);
    call->context_ = context;
    call->self_ = call;
    const absl::Status refused = call->guard_.Check(request);
    if (absl::IsPermissionDenied(refused)) {
      handler = [&guard = call->guard_, resource = call->guard_.ResourceOf(request), refused](
                    const CallContext&, StreamWriter&) { return guard.Deny(resource, refused); };
    } else if (!refused.ok()) {
      call->guard_.Report(refused);
      call->Finish(ToGrpc(refused));
      return call.get();
    }
    call->task_ = edge.scope.Spawn(std::string(method), Run(call, std::move(handler)));
    if (call->first_came_.exchange(true)) call->task_.Cancel();
    return call.get();
  }

  StreamCall(const Edge& edge, const grpc::CallbackServerContext& context, std::string_view method,
             const google::protobuf::Message& request)
      : guard_(edge, context, method, request, true) {}

  void Accept() override {
    if (std::exchange(accepted_, true)) return;
    // Says in words what an empty head cannot: a refusal may begin with an empty head as well.
    context_->AddInitialMetadata("x-fabro-stream", "open");
    StartSendInitialMetadata();
  }

  Task<absl::Status> Write(std::string_view message) override {
    accepted_ = true;
    auto written = std::make_shared<Waiter>();
    std::atomic_store(&written_, written);
    grpc::Slice slice(message.data(), message.size());
    in_flight_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&in_flight_);
    // The buffer belongs to gRPC until OnWriteDone, which always comes: also when the client is gone.
    co_return co_await written->WaitUncancelled();
  }

 private:
  static Task<void> Run(std::shared_ptr<StreamCall> call, StreamHandler handler) {
    absl::Status status = co_await handler(call->guard_.call(), *call);
    call->guard_.Report(status);
    call->Finish(ToGrpc(status));
  }

  void OnWriteDone(bool ok) override {
    const std::shared_ptr<Waiter> written = std::atomic_load(&written_);
    written->Complete(ok ? absl::OkStatus() : Cancelled("the client is gone"));
  }
  void OnCancel() override {
    if (first_came_.exchange(true)) task_.Cancel();
  }
  void OnDone() override { const auto keep = std::move(self_); }

  Guard guard_;
  TaskHandle task_;
  grpc::CallbackServerContext* context_ = nullptr;  // gRPC's, lives until OnDone
  bool accepted_ = false;                           // on the call's strand only
  std::atomic<bool> first_came_ = false;
  std::shared_ptr<Waiter> written_;
  grpc::ByteBuffer in_flight_;
  std::shared_ptr<StreamCall> self_;
};

}  // namespace

grpc::ServerUnaryReactor* RunUnary(const Edge& edge, grpc::CallbackServerContext* context,
                                   std::string_view method, const google::protobuf::Message& request,
                                   UnaryHandler handler) {
  return UnaryCall::Start(edge, context, method, request, std::move(handler));
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* RunStream(const Edge& edge, grpc::CallbackServerContext* context,
                                                      std::string_view method,
                                                      const google::protobuf::Message& request,
                                                      StreamHandler handler) {
  return StreamCall::Start(edge, context, method, request, std::move(handler));
}

absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message* request) {
  grpc::ByteBuffer copy = bytes;  // shares the slices
  grpc::ProtoBufferReader reader(&copy);
  const bool parsed = reader.status().ok() && request->ParseFromZeroCopyStream(&reader);
  if (parsed) return absl::OkStatus();
  return InvalidArgument(Reason::kInvalidArgument, "",
                         "the request is not an encoded message of this method");
}

}  // namespace fabro::rpc
