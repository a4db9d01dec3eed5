#include "gateway/upstream/grpc_upstream.h"

#include <google/protobuf/message.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "gateway/upstream/status.h"

namespace fabro::upstream {
namespace {

using google::protobuf::Message;
using Stub = grpc::TemplatedGenericStub<Message, Message>;

constexpr int kFirstBackoffMs = 50;
constexpr int kMaxBackoffMs = 500;
constexpr int kConnectTimeoutMs = 1000;
constexpr int kMaxMessageBytes = 64 * 1024 * 1024;
// core/rpc/call.cc sends it with the head of a stream that it accepts.
constexpr char kStreamOpen[] = "x-fabro-stream";

void Prepare(const CallOptions& options, grpc::ClientContext& context) {
  if (!options.principal.empty()) context.AddMetadata("x-fabro-principal", options.principal);
  if (!options.request_id.empty()) context.AddMetadata("x-request-id", options.request_id);
  if (const auto at = options.deadline.at()) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(*at - Deadline::Clock::now());
    context.set_deadline(std::chrono::system_clock::now() + left);
  }
}

// How many of gRPC's threads are in one of our callbacks just now. Who wakes a coroutine may hold its
// executor a moment longer than the coroutine, and all that waited for it, live.
using Callbacks = std::atomic<int>;

class InCallback {
 public:
  explicit InCallback(std::shared_ptr<Callbacks> count) : count_(std::move(count)) {
    count_->fetch_add(1, std::memory_order_relaxed);
  }
  ~InCallback() { count_->fetch_sub(1, std::memory_order_release); }
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;

 private:
  const std::shared_ptr<Callbacks> count_;
};

// Lives in the frame of the coroutine that awaits it, which does not end before OnDone.
class UnaryCall final : public grpc::ClientUnaryReactor {
 public:
  explicit UnaryCall(std::shared_ptr<Callbacks> callbacks) : callbacks_(std::move(callbacks)) {}

  void OnDone(const grpc::Status& status) override {
    const InCallback inside(callbacks_);
    const std::shared_ptr<Waiter> done = done_;  // once completed, this call may be gone
    status_ = status;
    done->CompleteHere(absl::OkStatus());
  }

  grpc::ClientContext context_;
  grpc::Status status_;
  const std::shared_ptr<Callbacks> callbacks_;
  const std::shared_ptr<Waiter> done_ = std::make_shared<Waiter>();
};

// Shared by the coroutine that reads and by gRPC, which holds the reactor until OnDone.
class StreamCall final : public grpc::ClientBidiReactor<Message, Message> {
 public:
  StreamCall(const Message& request, std::shared_ptr<Callbacks> callbacks)
      : request_(request.New()), callbacks_(std::move(callbacks)) {
    request_->CopyFrom(request);
  }

  static std::shared_ptr<StreamCall> Start(Stub& stub, const std::string& method, const Message& request,
                                           const CallOptions& options, std::shared_ptr<Callbacks> callbacks) {
    auto call = std::make_shared<StreamCall>(request, std::move(callbacks));
    call->self_ = call;
    Prepare(options, call->context_);
    stub.PrepareBidiStreamingCall(&call->context_, method, grpc::StubOptions(), call.get());
    call->AddHold();  // a read may be asked for at any time until Release
    call->StartCall();
    call->StartWriteLast(call->request_.get(), grpc::WriteOptions());
    return call;
  }

  void Cancel() { context_.TryCancel(); }

  // No further read will be asked for.
  void Release() {
    if (!std::exchange(released_, true)) RemoveHold();
  }

  // Completes when the head says that the stream is open, or when there is an end or a message instead.
  Task<void> WaitOpened() {
    auto abort = [this] { Cancel(); };
    (void)co_await opened_->WaitOrAbort(abort);
  }

  // Whether a message was read. False: the stream is over, see Final.
  Task<bool> Read(Message* message) {
    const auto read = std::make_shared<Waiter>();
    {
      MutexLock lock(&mutex_);
      read_ = read;
    }
    StartRead(message);
    auto abort = [this] { Cancel(); };
    const absl::Status status = co_await read->WaitOrAbort(abort);
    co_return status.ok();
  }

  Task<absl::Status> Final() {
    Release();
    auto abort = [this] { Cancel(); };
    (void)co_await done_->WaitOrAbort(abort);
    co_return FromGrpc(status_);
  }

  bool opened_by_head() const { return opened_by_head_; }

 private:
  void OnReadInitialMetadataDone(bool ok) override {
    const InCallback inside(callbacks_);
    opened_by_head_ = ok && context_.GetServerInitialMetadata().contains(kStreamOpen);
    opened_->Complete(absl::OkStatus());
  }
  void OnReadDone(bool ok) override {
    const InCallback inside(callbacks_);
    std::shared_ptr<Waiter> read;
    {
      MutexLock lock(&mutex_);
      read = std::move(read_);
    }
    if (read) read->Complete(ok ? absl::OkStatus() : Cancelled("the stream is over"));
  }
  void OnDone(const grpc::Status& status) override {
    const InCallback inside(callbacks_);
    const std::shared_ptr<StreamCall> keep = std::move(self_);
    status_ = status;
    opened_->Complete(absl::OkStatus());
    done_->Complete(absl::OkStatus());
  }

  const std::unique_ptr<Message> request_;
  const std::shared_ptr<Callbacks> callbacks_;
  grpc::ClientContext context_;
  grpc::Status status_;          // before done_ completes
  bool opened_by_head_ = false;  // before opened_ completes
  bool released_ = false;        // by the reading coroutine only
  const std::shared_ptr<Waiter> opened_ = std::make_shared<Waiter>();
  const std::shared_ptr<Waiter> done_ = std::make_shared<Waiter>();
  Mutex mutex_;
  std::shared_ptr<Waiter> read_ GUARDED_BY(mutex_);
  std::shared_ptr<StreamCall> self_;
};

class GrpcStream final : public Stream {
 public:
  explicit GrpcStream(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~GrpcStream() override {
    call_->Cancel();
    call_->Release();
  }

  // The first message came before the head said anything: it is handed out first.
  void PutBack(std::unique_ptr<Message> message) { first_ = std::move(message); }

  Task<absl::StatusOr<bool>> Next(Message* message) override {
    if (first_) {
      message->GetReflection()->Swap(message, first_.get());
      first_.reset();
      co_return true;
    }
    if (!ended_) {
      if (co_await call_->Read(message)) co_return true;
      ended_ = true;
    }
    absl::Status status = co_await call_->Final();
    if (!status.ok()) co_return status;
    co_return false;
  }

 private:
  const std::shared_ptr<StreamCall> call_;
  std::unique_ptr<Message> first_;
  bool ended_ = false;
};

class GrpcUpstream final : public Upstream {
 public:
  explicit GrpcUpstream(std::shared_ptr<grpc::Channel> channel) : stub_(std::move(channel)) {}
  ~GrpcUpstream() override {
    while (callbacks_->load(std::memory_order_acquire) > 0) std::this_thread::yield();
  }

  Task<absl::Status> Call(const std::string& method, const Message& request, Message* response,
                          CallOptions options) override {
    UnaryCall call(callbacks_);
    Prepare(options, call.context_);
    stub_.PrepareUnaryCall(&call.context_, method, grpc::StubOptions(), &request, response, &call);
    call.StartCall();
    auto abort = [&call] { call.context_.TryCancel(); };
    (void)co_await call.done_->WaitOrAbort(abort);
    co_return FromGrpc(call.status_);
  }

  Task<absl::StatusOr<std::unique_ptr<Stream>>> OpenStream(const std::string& method, const Message& request,
                                                           const Message& response,
                                                           CallOptions options) override {
    const std::shared_ptr<StreamCall> call = StreamCall::Start(stub_, method, request, options, callbacks_);
    auto stream = std::make_unique<GrpcStream>(call);
    co_await call->WaitOpened();
    if (!call->opened_by_head()) {
      // The head told nothing: a message means open, and so does a good end.
      std::unique_ptr<Message> first(response.New());
      const absl::StatusOr<bool> more = co_await stream->Next(first.get());
      if (!more.ok()) co_return more.status();
      if (*more) stream->PutBack(std::move(first));
    }
    co_return std::unique_ptr<Stream>(std::move(stream));
  }

 private:
  Stub stub_;
  const std::shared_ptr<Callbacks> callbacks_ = std::make_shared<Callbacks>(0);
};

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstBackoffMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // whether to try again is for our caller's client to decide
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<Upstream> MakeGrpcUpstream(std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<GrpcUpstream>(std::move(channel));
}

}  // namespace fabro::upstream
