// A gRPC server whose methods are functions on bytes: a core small enough for a test to write.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fabro::testing {

inline grpc::ByteBuffer ToBytes(const google::protobuf::Message& message) {
  grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// One call: what the client sent, and what the script answers with.
struct ScriptedCall {
  std::string method;
  std::string request;  // encoded
  std::map<std::string, std::string> metadata;
  std::chrono::system_clock::time_point deadline;

  std::vector<grpc::ByteBuffer> answers;
  bool send_head = false;  // accept the stream before anything else
  bool hang = false;       // after the answers, until the client cancels
  grpc::Status status;
  std::function<void()> on_cancel;
  std::function<void()> on_written;  // after each answer was taken
};

class ScriptedCore final : public grpc::CallbackGenericService {
 public:
  using Script = std::function<void(ScriptedCall&)>;  // called from gRPC's threads

  explicit ScriptedCore(Script script) : script_(std::move(script)) {}

  // Listens on a unix socket at `path`, or only in process when it is empty.
  void Start(const std::string& path) {
    grpc::ServerBuilder builder;
    if (!path.empty()) builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }
  ~ScriptedCore() override { Stop(); }
  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel(grpc::ChannelArguments()); }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(const Script& script, grpc::GenericCallbackServerContext* context)
        : script_(script), context_(context) {
      StartRead(&request_);
    }

   private:
    void OnReadDone(bool ok) override {
      if (!ok) {
        Finish(grpc::Status::OK);
        return;
      }
      call_.method = context_->method();
      for (const auto& [key, value] : context_->client_metadata()) {
        call_.metadata[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
      }
      call_.deadline = context_->deadline();
      std::vector<grpc::Slice> slices;
      (void)request_.Dump(&slices);
      for (const grpc::Slice& slice : slices) {
        call_.request.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
      }
      script_(call_);
      if (call_.send_head) {
        context_->AddInitialMetadata("x-fabro-stream", "open");
        StartSendInitialMetadata();
      }
      Go();
    }
    void Go() {
      if (next_ < call_.answers.size()) {
        StartWrite(&call_.answers[next_++]);
      } else if (!call_.hang) {
        Finish(call_.status);
      } else {
        const std::lock_guard<std::mutex> lock(mutex_);
        waiting_ = true;
        if (cancelled_) Finish(grpc::Status::CANCELLED);
      }
    }
    void OnWriteDone(bool ok) override {
      if (ok && call_.on_written) call_.on_written();
      if (ok) {
        Go();
      } else {
        Finish(grpc::Status::CANCELLED);
      }
    }
    void OnCancel() override {
      if (call_.on_cancel) call_.on_cancel();
      const std::lock_guard<std::mutex> lock(mutex_);
      cancelled_ = true;
      if (waiting_) Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

    const Script& script_;
    grpc::GenericCallbackServerContext* const context_;
    grpc::ByteBuffer request_;
    ScriptedCall call_;
    std::size_t next_ = 0;
    std::mutex mutex_;
    bool waiting_ = false;
    bool cancelled_ = false;
  };

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new Reactor(script_, context);
  }

  const Script script_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace fabro::testing
