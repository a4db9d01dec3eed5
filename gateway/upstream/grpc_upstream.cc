#include "gateway/upstream/grpc_upstream.h"

#include <google/protobuf/message.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/channel_arguments.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <utility>

#include "core/async/blocking_pool.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/security/certificate.h"
#include "core/security/principal.h"
#include "gateway/upstream/status.h"

namespace fabro::upstream {
namespace {

using google::protobuf::Message;
using Stub = grpc::TemplatedGenericStub<Message, Message>;

constexpr int kFirstBackoffMs = 50;
constexpr int kMaxBackoffMs = 500;
constexpr int kConnectTimeoutMs = 1000;
constexpr unsigned kReadFilesEverySeconds = 1;
constexpr int kMaxMessageBytes = 64 * 1024 * 1024;
// core/rpc/call.cc sends it with the head of a stream that it accepts.
constexpr char kStreamOpen[] = "x-fabro-stream";

void Prepare(const CallOptions& options, grpc::ClientContext& context) {
  if (!options.principal.empty()) {
    context.AddMetadata("x-fabro-principal", security::EncodePrincipal(options.principal));
  }
  if (!options.request_id.empty()) context.AddMetadata("x-request-id", options.request_id);
  if (!options.traceparent.empty()) context.AddMetadata("traceparent", options.traceparent);
  if (const auto at = options.deadline.at()) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(*at - Deadline::Clock::now());
    context.set_deadline(std::chrono::system_clock::now() + left);
  }
}

// One operation of a call, awaited by the coroutine whose frame it lives in.
class Operation {
 public:
  // What gRPC gives back when the operation is complete.
  void* tag() {
    // gRPC orders this before Complete(); said once more for ThreadSanitizer, which cannot see into Debian's
    // build.
    handed_over_.store(true, std::memory_order_release);
    return this;
  }

  // Called once, on the queue's thread. The coroutine may go on inside, and this object be gone after.
  void Complete(bool ok) {
    FABRO_CHECK(handed_over_.load(std::memory_order_acquire));
    ok_ = ok;
    const std::shared_ptr<Waiter> done = done_;
    done->CompleteHere(absl::OkStatus());
  }

  // Whether it went well. A coroutine that is cancelled cancels the call, which completes the operation.
  Task<bool> Wait(grpc::ClientContext& context) {
    auto cancel = [&context] { context.TryCancel(); };
    (void)co_await done_->WaitOrAbort(cancel);
    co_return ok_;
  }

 private:
  std::atomic<bool> handed_over_{false};
  bool ok_ = false;
  const std::shared_ptr<Waiter> done_ = std::make_shared<Waiter>();
};

// gRPC's completions, and the thread that polls for them and continues who waits. With gRPC's callbacks each
// would be handed to one more thread first.
class CallQueue {
 public:
  CallQueue() : thread_("grpc calls", 1, 1) {
    FABRO_CHECK(thread_.TryRun([this] {
      void* tag = nullptr;
      bool ok = false;
      while (queue_.Next(&tag, &ok)) static_cast<Operation*>(tag)->Complete(ok);
    }));
  }
  ~CallQueue() { queue_.Shutdown(); }  // the thread ends with the queue, and is joined
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  grpc::CompletionQueue* get() { return &queue_; }

 private:
  grpc::CompletionQueue queue_;
  BlockingPool thread_;
};

class GrpcStream final : public Stream {
 public:
  ~GrpcStream() override { context_.TryCancel(); }

  // True when the core's head says that the stream is open, false when its first message or its end has to
  // tell.
  Task<bool> Start(Stub& stub, CallQueue& queue, const std::string& method, const Message& request,
                   CallOptions options) {
    Prepare(options, context_);
    call_ = stub.PrepareCall(&context_, method, queue.get());
    Operation started;
    call_->StartCall(started.tag());
    if (!co_await started.Wait(context_)) co_return false;
    Operation written;
    grpc::WriteOptions last;
    last.set_last_message();
    call_->Write(request, last, written.tag());
    if (!co_await written.Wait(context_)) co_return false;
    Operation head;
    call_->ReadInitialMetadata(head.tag());
    if (!co_await head.Wait(context_)) co_return false;
    co_return context_.GetServerInitialMetadata().contains(kStreamOpen);
  }

  // The first message came before the head said anything: it is handed out first.
  void PutBack(std::unique_ptr<Message> message) { first_ = std::move(message); }

  Task<absl::StatusOr<bool>> Next(Message* message) override {
    if (first_) {
      message->GetReflection()->Swap(message, first_.get());
      first_.reset();
      co_return true;
    }
    if (!end_) {
      Operation read;
      call_->Read(message, read.tag());
      if (co_await read.Wait(context_)) co_return true;
      Operation finished;
      grpc::Status status;
      call_->Finish(&status, finished.tag());
      (void)co_await finished.Wait(context_);
      end_ = FromGrpc(status);
    }
    if (!end_->ok()) co_return *end_;
    co_return false;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Message, Message>> call_;
  std::unique_ptr<Message> first_;
  std::optional<absl::Status> end_;
};

class GrpcUpstream final : public Upstream {
 public:
  explicit GrpcUpstream(std::shared_ptr<grpc::Channel> channel) : stub_(std::move(channel)) {}

  Task<absl::Status> Call(const std::string& method, const Message& request, Message* response,
                          CallOptions options) override {
    grpc::ClientContext context;
    Prepare(options, context);
    grpc::Status status;
    Operation finished;
    const auto call = stub_.PrepareUnaryCall(&context, method, request, queue_.get());
    call->StartCall();
    call->Finish(response, &status, finished.tag());
    (void)co_await finished.Wait(context);
    co_return FromGrpc(status);
  }

  Task<absl::StatusOr<std::unique_ptr<Stream>>> OpenStream(const std::string& method, const Message& request,
                                                           const Message& response,
                                                           CallOptions options) override {
    auto stream = std::make_unique<GrpcStream>();
    if (!co_await stream->Start(stub_, queue_, method, request, std::move(options))) {
      std::unique_ptr<Message> first(response.New());
      const absl::StatusOr<bool> more = co_await stream->Next(first.get());
      if (!more.ok()) co_return more.status();
      if (*more) stream->PutBack(std::move(first));
    }
    co_return std::unique_ptr<Stream>(std::move(stream));
  }

 private:
  Stub stub_;
  CallQueue queue_;
};

grpc::ChannelArguments ArgumentsOfChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstBackoffMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // whether to try again is for our caller's client to decide
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return arguments;
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), ArgumentsOfChannel());
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeTlsChannel(const std::string& address,
                                                              const ChannelTlsFiles& files, Timestamp now) {
  FABRO_RETURN_IF_ERROR(
      security::LoadIdentity(files.cert, files.key, security::CertificateUse::kClient, now).status());
  FABRO_RETURN_IF_ERROR(security::LoadAuthorities(files.ca, now).status());
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.cert, files.ca, kReadFilesEverySeconds));
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  return grpc::CreateCustomChannel(address, grpc::experimental::TlsCredentials(options),
                                   ArgumentsOfChannel());
}

std::unique_ptr<Upstream> MakeGrpcUpstream(std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<GrpcUpstream>(std::move(channel));
}

}  // namespace fabro::upstream
