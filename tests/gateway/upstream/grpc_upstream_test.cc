#include "gateway/upstream/grpc_upstream.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <future>

#include "core/async/task_scope.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/gateway/upstream/scripted_core.h"
#include "tests/support/run_task.h"

namespace fabro::upstream {
namespace {

using fabro::testing::RunTask;
using fabro::testing::ScriptedCall;
using fabro::testing::ScriptedCore;
using fabro::testing::ToBytes;
using google::protobuf::UInt64Value;
using namespace std::chrono_literals;

const std::string kMethod = "/test.Service/Method";

UInt64Value Number(std::uint64_t value) {
  UInt64Value number;
  number.set_value(value);
  return number;
}

Task<absl::Status> CallOnce(Upstream& upstream, std::uint64_t value, UInt64Value* response,
                            CallOptions options) {
  const UInt64Value request = Number(value);
  co_return co_await upstream.Call(kMethod, request, response, options);
}

// Everything a stream gives, and how it ended.
struct Told {
  bool opened = false;
  std::vector<std::uint64_t> values;
  absl::Status status;
};

Task<Told> ReadAll(Upstream& upstream, std::size_t at_most) {
  Told told;
  const UInt64Value request = Number(1);
  CallOptions options;
  auto stream = co_await upstream.OpenStream(kMethod, request, UInt64Value::default_instance(), options);
  told.status = stream.status();
  if (!stream.ok()) co_return told;
  told.opened = true;
  UInt64Value message;
  while (told.values.size() < at_most) {
    const absl::StatusOr<bool> more = co_await (*stream)->Next(&message);
    told.status = more.status();
    if (!more.ok() || !*more) break;
    told.values.push_back(message.value());
  }
  co_return told;
}

class GrpcUpstreamTest : public ::testing::Test {
 protected:
  void Start(ScriptedCore::Script script) {
    core_ = std::make_unique<ScriptedCore>(std::move(script));
    core_->Start("");
    upstream_ = MakeGrpcUpstream(core_->Channel());
  }
  std::unique_ptr<ScriptedCore> core_;
  std::unique_ptr<Upstream> upstream_;
};

TEST_F(GrpcUpstreamTest, CallsAndForwardsWhoAsksAndTheDeadline) {
  ScriptedCall seen;
  Start([&](ScriptedCall& call) {
    call.answers.push_back(ToBytes(Number(42)));
    seen = call;
  });
  CallOptions options;
  options.principal = "alice";
  options.request_id = "r1";
  options.deadline = Deadline::In(5s);
  UInt64Value response;
  EXPECT_TRUE(RunTask(CallOnce(*upstream_, 7, &response, options)).ok());
  EXPECT_EQ(response.value(), 42u);
  EXPECT_EQ(seen.method, kMethod);
  EXPECT_EQ(seen.request, Number(7).SerializeAsString());
  EXPECT_EQ(seen.metadata["x-fabro-principal"], "alice");
  EXPECT_EQ(seen.metadata["x-request-id"], "r1");
  EXPECT_LT(seen.deadline, std::chrono::system_clock::now() + 6s);
}

TEST_F(GrpcUpstreamTest, ReadsErrorDetails) {
  Start([](ScriptedCall& call) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    info.set_domain("fabro");
    info.set_reason("RUN_NOT_FOUND");
    (*info.mutable_metadata())["subject"] = "r9";
    details.add_details()->PackFrom(info);
    google::rpc::BadRequest bad;
    auto* field = bad.add_field_violations();
    field->set_field("a.b");
    field->set_description("too long");
    details.add_details()->PackFrom(bad);
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(2);
    retry.mutable_retry_delay()->set_nanos(500'000'000);
    details.add_details()->PackFrom(retry);
    call.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "Run r9 not found.", details.SerializeAsString());
  });
  UInt64Value response;
  const absl::Status status = RunTask(CallOnce(*upstream_, 7, &response, CallOptions()));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MessageOf(status), "Run r9 not found.");
  const auto detail = DetailOf(status);
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->reason, Reason::kRunNotFound);
  EXPECT_EQ(detail->subject, "r9");
  EXPECT_EQ(detail->retry_after, 2500ms);
  ASSERT_EQ(detail->fields.size(), 1u);
  EXPECT_EQ(detail->fields[0].field, "a.b");
}

TEST_F(GrpcUpstreamTest, ADeadlineEndsACall) {
  Start([](ScriptedCall& call) { call.hang = true; });
  CallOptions options;
  options.deadline = Deadline::In(30ms);
  UInt64Value response;
  EXPECT_EQ(RunTask(CallOnce(*upstream_, 7, &response, options)).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(GrpcUpstreamTest, CancellingTheCoroutineCancelsTheCall) {
  std::promise<void> arrived;
  std::promise<void> cancelled;
  Start([&](ScriptedCall& call) {
    call.hang = true;
    call.on_cancel = [&] { cancelled.set_value(); };
    arrived.set_value();
  });
  Runtime runtime(2);
  TaskScope scope(runtime.executor());
  UInt64Value response;
  std::optional<absl::Status> status;
  scope.Spawn("call", fabro::testing::KeepResult(CallOnce(*upstream_, 7, &response, CallOptions()), &status));
  arrived.get_future().wait();
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_EQ(status->code(), absl::StatusCode::kCancelled);
  cancelled.get_future().wait();
}

TEST_F(GrpcUpstreamTest, ReadsAStreamToItsEnd) {
  for (const bool head : {true, false}) {
    Start([&](ScriptedCall& call) {
      call.send_head = head;
      for (int i = 1; i <= 100; ++i) call.answers.push_back(ToBytes(Number(static_cast<std::uint64_t>(i))));
    });
    const Told told = RunTask(ReadAll(*upstream_, 1000));
    EXPECT_TRUE(told.opened);
    EXPECT_TRUE(told.status.ok());
    ASSERT_EQ(told.values.size(), 100u);
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(told.values[i], i + 1);
  }
}

TEST_F(GrpcUpstreamTest, AnAcceptedStreamOpensBeforeItsFirstMessage) {
  std::promise<void> cancelled;
  Start([&](ScriptedCall& call) {
    call.send_head = true;
    call.hang = true;
    call.on_cancel = [&] { cancelled.set_value(); };
  });
  const Told told = RunTask(ReadAll(*upstream_, 0));  // leaves at once
  EXPECT_TRUE(told.opened);
  cancelled.get_future().wait();
}

TEST_F(GrpcUpstreamTest, ARefusedStreamTellsWhy) {
  Start([](ScriptedCall& call) { call.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no"); });
  const Told told = RunTask(ReadAll(*upstream_, 10));
  EXPECT_FALSE(told.opened);
  EXPECT_EQ(told.status.code(), absl::StatusCode::kNotFound);
}

TEST_F(GrpcUpstreamTest, AStreamThatBreaksTellsWhyAfterItsMessages) {
  Start([](ScriptedCall& call) {
    call.send_head = true;
    call.answers.push_back(ToBytes(Number(1)));
    call.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
  });
  const Told told = RunTask(ReadAll(*upstream_, 10));
  EXPECT_EQ(told.values.size(), 1u);
  EXPECT_EQ(told.status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcUpstreamTest, CancellingTheCoroutineEndsItsStream) {
  std::promise<void> arrived;
  Start([&](ScriptedCall& call) {
    call.send_head = true;
    call.hang = true;
    arrived.set_value();
  });
  Runtime runtime(2);
  TaskScope scope(runtime.executor());
  std::optional<Told> told;
  scope.Spawn("read", fabro::testing::KeepResult(ReadAll(*upstream_, 10), &told));
  arrived.get_future().wait();
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_EQ(told->status.code(), absl::StatusCode::kCancelled);
}

TEST_F(GrpcUpstreamTest, NobodyReadsAheadOfTheReader) {
  std::atomic<int> written{0};
  std::promise<void> stopped;
  Start([&](ScriptedCall& call) {
    call.send_head = true;
    for (int i = 0; i < 2000; ++i) {
      UInt64Value big = Number(1);
      big.GetReflection()->MutableUnknownFields(&big)->AddLengthDelimited(100, std::string(100'000, 'x'));
      call.answers.push_back(ToBytes(big));
    }
    call.on_written = [&] { ++written; };
    call.on_cancel = [&] { stopped.set_value(); };
  });
  const Told told = RunTask(ReadAll(*upstream_, 3));
  EXPECT_EQ(told.values.size(), 3u);
  stopped.get_future().wait();
  EXPECT_LT(written.load(), 200);
}

TEST(GrpcChannel, FindsACoreThatRestarts) {
  const std::string path = StrCat(::testing::TempDir(), "/upstream-", ::getpid(), ".sock");
  auto answer = [](ScriptedCall& call) { call.answers.push_back(ToBytes(Number(1))); };
  const auto upstream = MakeGrpcUpstream(MakeChannel("unix:" + path));
  UInt64Value response;
  const absl::Status absent = RunTask(CallOnce(*upstream, 1, &response, CallOptions()));
  EXPECT_EQ(absent.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(absent), Reason::kUnspecified);
  for (int round = 0; round < 2; ++round) {
    ScriptedCore core(answer);
    core.Start(path);
    const auto until = std::chrono::steady_clock::now() + 20s;
    absl::Status status = absl::UnknownError("");
    while (!status.ok() && std::chrono::steady_clock::now() < until) {
      status = RunTask(CallOnce(*upstream, 1, &response, CallOptions()));
    }
    EXPECT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace fabro::upstream
