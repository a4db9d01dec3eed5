// The whole gateway before a scripted core, as clients meet it.
#include "gateway/app/gateway_app.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>

#include "core/base/strings.h"
#include "core/config/server_config.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/run.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/gateway/http/raw_client.h"
#include "tests/gateway/upstream/scripted_core.h"

namespace fabro::gateway {
namespace {

using namespace std::chrono_literals;
using fabro::testing::ScriptedCall;
using fabro::testing::ScriptedCore;
using fabro::testing::ToBytes;
using http::RawClient;

class GatewayAppTest : public ::testing::Test {
 protected:
  void Start(ScriptedCore::Script script) {
    core_ = std::make_unique<ScriptedCore>(std::move(script));
    core_->Start("");
    Start(core_->Channel());
  }
  void Start(std::shared_ptr<grpc::Channel> channel) {
    auto app = GatewayApp::Start(std::move(channel), GatewayOptions());
    ASSERT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
  }
  std::unique_ptr<RawClient> Send(std::string_view line, std::string_view headers = "") {
    auto client = std::make_unique<RawClient>(app_->port());
    client->Send(StrCat(line, " HTTP/1.1\r\nHost: localhost\r\n", headers, "\r\n"));
    return client;
  }
  std::string Ask(std::string_view line, std::string_view headers = "") {
    return Send(line, headers)->ReadAnswer();
  }

  std::unique_ptr<ScriptedCore> core_;
  std::unique_ptr<GatewayApp> app_;
};

grpc::ByteBuffer EventBytes(std::uint64_t id) {
  v1::Event event;
  event.set_id(id);
  return ToBytes(event);
}

TEST_F(GatewayAppTest, AnswersFromTheCore) {
  Start([](ScriptedCall& call) {
    v1::RetrieveRunRequest request;
    EXPECT_TRUE(request.ParseFromString(call.request));
    EXPECT_EQ(call.metadata["x-fabro-principal"], "local");
    EXPECT_EQ(call.metadata["x-request-id"], "mine");
    v1::RunStatusResponse run;
    run.set_id(request.id());
    call.answers.push_back(ToBytes(run));
  });
  const std::string answer = Ask("GET /runs/abc", "X-Request-Id: mine\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find(R"({"id":"abc",)"), std::string::npos) << answer;
}

TEST_F(GatewayAppTest, SaysThatTheCoreIsNotThere) {
  config::GatewayConfig nobody;
  nobody.core = StrCat("unix:", ::testing::TempDir(), "/nobody-", ::getpid(), ".sock");
  Start(*ChannelTo(nobody));
  const std::string answer = Ask("GET /runs/abc");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << answer;
  EXPECT_NE(answer.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_EQ(answer.find(".sock"), std::string::npos);
  EXPECT_TRUE(Ask("GET /openapi.json").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(GatewayAppTest, StreamsEventsAndEndsWithTheStream) {
  Start([](ScriptedCall& call) {
    v1::StreamRunEventsRequest request;
    EXPECT_TRUE(request.ParseFromString(call.request));
    EXPECT_EQ(request.after(), 4u);
    call.send_head = true;
    for (std::uint64_t id = 5; id <= 7; ++id) call.answers.push_back(EventBytes(id));
  });
  auto client = Send("GET /runs/abc/events", "Last-Event-ID: 4\r\n");
  const std::string all = client->ReadUntil("0\r\n\r\n");
  for (const char* expected :
       {"HTTP/1.1 200 OK\r\n", "Content-Type: text/event-stream\r\n", "Cache-Control: no-store\r\n",
        "X-Accel-Buffering: no\r\n", "Transfer-Encoding: chunked\r\n", "id: 5\ndata: {\"id\":5,",
        "id: 6\ndata: ", "id: 7\ndata: "}) {
    EXPECT_NE(all.find(expected), std::string::npos) << expected << all;
  }
  EXPECT_EQ(all.find("event:"), std::string::npos);
}

TEST_F(GatewayAppTest, AStreamThatIsRefusedIsAnOrdinaryAnswer) {
  Start([](ScriptedCall& call) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    info.set_domain("fabro");
    info.set_reason("GONE");
    details.add_details()->PackFrom(info);
    call.status = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "Event stream closed.",
                               details.SerializeAsString());
  });
  const std::string answer = Ask("GET /runs/abc/events");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 410 Gone\r\n")) << answer;
  EXPECT_NE(answer.find("Event stream closed."), std::string::npos);
}

TEST_F(GatewayAppTest, AStreamThatBreaksIsCutWithoutItsLastChunk) {
  Start([](ScriptedCall& call) {
    call.send_head = true;
    call.answers.push_back(EventBytes(1));
    call.status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
  });
  const std::string all = Send("GET /runs/abc/events")->ReadToEnd();
  EXPECT_NE(all.find("id: 1\n"), std::string::npos);
  EXPECT_FALSE(all.ends_with("0\r\n\r\n"));
}

TEST_F(GatewayAppTest, HeadOnAStreamGivesHeadersOnly) {
  std::promise<void> cancelled;
  Start([&](ScriptedCall& call) {
    call.send_head = true;
    call.hang = true;
    call.on_cancel = [&] { cancelled.set_value(); };
  });
  auto client = Send("HEAD /runs/abc/events");
  EXPECT_NE(client->ReadUntil("\r\n\r\n").find("text/event-stream"), std::string::npos);
  cancelled.get_future().wait();  // nobody reads it
}

TEST_F(GatewayAppTest, AClientThatLeavesCancelsTheCallBehindIt) {
  std::promise<void> arrived;
  std::promise<void> cancelled;
  Start([&](ScriptedCall& call) {
    call.hang = true;
    call.on_cancel = [&] { cancelled.set_value(); };
    arrived.set_value();
  });
  auto client = Send("GET /runs/abc");
  arrived.get_future().wait();
  client->Close();
  cancelled.get_future().wait();
}

TEST_F(GatewayAppTest, AReaderThatLeavesEndsTheStreamBehindIt) {
  std::promise<void> cancelled;
  Start([&](ScriptedCall& call) {
    call.send_head = true;
    call.answers.push_back(EventBytes(1));
    call.hang = true;
    call.on_cancel = [&] { cancelled.set_value(); };
  });
  auto client = Send("GET /runs/abc/events");
  EXPECT_NE(client->ReadUntil("id: 1\n"), "");
  client->Close();
  cancelled.get_future().wait();
}

TEST_F(GatewayAppTest, StoppingEndsStreamsProperly) {
  Start([](ScriptedCall& call) {
    call.send_head = true;
    call.answers.push_back(EventBytes(1));
    call.hang = true;
  });
  auto client = Send("GET /runs/abc/events");
  EXPECT_NE(client->ReadUntil("id: 1\n"), "");
  app_->Stop(5s);
  EXPECT_TRUE(client->ReadToEnd().ends_with("0\r\n\r\n"));
  app_.reset();
}

TEST_F(GatewayAppTest, RefusesForeignHostsAndPages) {
  Start([](ScriptedCall&) {});
  auto foreign = std::make_unique<RawClient>(app_->port());
  foreign->Send("GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_TRUE(foreign->ReadAnswer().starts_with("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_TRUE(
      Ask("GET /health", "Origin: https://evil.example\r\n").starts_with("HTTP/1.1 403 Forbidden\r\n"));
}

}  // namespace
}  // namespace fabro::gateway
