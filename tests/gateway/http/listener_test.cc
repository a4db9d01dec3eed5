#include "gateway/http/listener.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/async/runtime.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/http/server_tls.h"
#include "tests/gateway/http/raw_client.h"
#include "tests/support/pki.h"
#include "tests/support/temp_directory.h"

namespace fabro::http {
namespace {

using namespace std::chrono_literals;

// Answers by path: what each test needs of a handler.
class TestHandler final : public Handler {
 public:
  Task<Response> Handle(Request request) override {
    Response response;
    const std::string path(request.path());
    if (path == "/echo") {
      response.headers.push_back({"Content-Type", "text/plain"});
      response.body = StrCat(request.verb, " ", request.target, " ", request.authority, " ", request.body);
    } else if (path == "/large") {
      response.headers.push_back({"Content-Type", "text/plain"});
      response.body.assign(3'000'000, 'x');
    } else if (path == "/throw") {
      throw std::runtime_error("secret");
    } else if (path == "/wait") {
      const auto waiter = std::make_shared<Waiter>();
      waiting.set_value();
      const absl::Status status = co_await waiter->Wait();
      ended.set_value(status.code());
    } else if (path == "/stream") {
      response.headers.push_back({"Content-Type", "text/event-stream"});
      response.stream = [](BodyWriter& writer) { return Three(writer); };
    } else if (path == "/endless") {
      response.stream = [this](BodyWriter& writer) { return Endless(writer); };
    } else if (path == "/broken") {
      response.stream = [](BodyWriter& writer) { return Broken(writer); };
    } else if (path == "/hold") {
      response.stream = [this](BodyWriter& writer) { return Hold(writer); };
    } else if (path == "/none") {
      response.status = 204;
    } else {
      response = ErrorResponse(404, "No such route.");
    }
    co_return response;
  }

  std::promise<void> waiting;
  std::promise<absl::StatusCode> ended;
  std::atomic<int> written{0};

 private:
  static Task<absl::Status> Three(BodyWriter& writer) {
    for (const char* text : {"one", "two", "three"}) {
      const Piece pieces[] = {std::make_shared<const std::string>(text)};
      const absl::StatusOr<bool> all = writer.TryWrite(pieces);
      if (!all.ok()) co_return all.status();
      if (!*all) (void)co_await writer.Flush();
    }
    co_return absl::OkStatus();
  }
  static Task<absl::Status> Broken(BodyWriter& writer) {
    const Piece pieces[] = {std::make_shared<const std::string>("begun")};
    (void)writer.TryWrite(pieces);
    co_return Internal("broken");
  }
  Task<absl::Status> Endless(BodyWriter& writer) {
    const Piece pieces[] = {std::make_shared<const std::string>(100'000, 'y')};
    absl::Status status;
    while (status.ok()) {
      const absl::StatusOr<bool> all = writer.TryWrite(pieces);
      if (!all.ok()) {
        status = all.status();
        break;
      }
      ++written;
      if (!*all) status = co_await writer.Flush();
    }
    ended.set_value(status.code());
    co_return status;
  }
  Task<absl::Status> Hold(BodyWriter& writer) {
    const Piece pieces[] = {std::make_shared<const std::string>("held")};
    (void)writer.TryWrite(pieces);
    const auto waiter = std::make_shared<Waiter>();
    waiting.set_value();
    const absl::Status status = co_await waiter->Wait();
    ended.set_value(status.code());
    co_return status;
  }
};

// Everything holds over plain HTTP and over TLS.
class ListenerTest : public ::testing::TestWithParam<bool> {
 protected:
  static bool over_tls() { return GetParam(); }
  void SetUp() override {
    if (!over_tls()) return;
    ::signal(SIGPIPE, SIG_IGN);  // for the client
    const fabro::testing::Issued identity = fabro::testing::Issue({}, nullptr);
    fabro::testing::WriteFile(files_.path().string() + "/crt", identity.cert_pem());
    fabro::testing::WriteFile(files_.path().string() + "/key", identity.key_pem());
    auto tls = ServerTls::Load({files_.path().string() + "/crt", files_.path().string() + "/key", ""},
                               ClientCertificates::kNone, SystemTime());
    ASSERT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
    client_.reset(SSL_CTX_new(TLS_client_method()));
  }
  void Start(HttpLimits limits = {}, AccessLog log = nullptr) {
    limits.tick = 10ms;
    ListenerOptions options;
    options.limits = limits;
    options.access_log = std::move(log);
    options.tls = tls_.get();
    listener_ = std::make_unique<Listener>(runtime_, SystemTime(), options);
    ASSERT_TRUE(listener_->Bind().ok());
    listener_->Start(handler_);
  }
  void TearDown() override {
    if (listener_) listener_->Stop(5s);
  }
  std::unique_ptr<RawClient> Connect(int receive_buffer = 0) {
    return std::make_unique<RawClient>(listener_->port(), receive_buffer, client_.get());
  }
  std::string Ask(std::string_view bytes) {
    auto client = Connect();
    client->Send(bytes);
    return client->ReadAnswer();
  }

  const fabro::testing::TempDirectory files_;
  std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* context) { SSL_CTX_free(context); })> client_;
  std::unique_ptr<ServerTls> tls_;
  TestHandler handler_;
  Runtime runtime_{2};
  std::unique_ptr<Listener> listener_;
};

INSTANTIATE_TEST_SUITE_P(Plain, ListenerTest, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Tls, ListenerTest, ::testing::Values(true));

std::string StatusOf(const std::string& answer) { return answer.substr(0, answer.find('\r')); }

TEST_P(ListenerTest, AnswersWithSecurityHeadersAndARequestId) {
  Start();
  const std::string answer = Ask("GET /echo?a=1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
  EXPECT_EQ(StatusOf(answer), "HTTP/1.1 200 OK");
  for (const char* header :
       {"\r\nX-Content-Type-Options: nosniff\r\n", "\r\nReferrer-Policy: no-referrer\r\n",
        "\r\nContent-Security-Policy: default-src 'none'\r\n", "\r\nX-Request-Id: ", "\r\nDate: "}) {
    EXPECT_NE(answer.find(header), std::string::npos) << header << answer;
  }
  EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /echo?a=1 x:1 ")) << answer;
}

TEST_P(ListenerTest, TakesAProperRequestIdAndReplacesAnother) {
  Start();
  EXPECT_NE(
      Ask("GET /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\n\r\n").find("X-Request-Id: mine-1\r\n"),
      std::string::npos);
  const std::string replaced =
      Ask(StrCat("GET /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: ", std::string(129, 'a'), "\r\n\r\n"));
  EXPECT_EQ(replaced.find("aaaa"), std::string::npos);
  EXPECT_NE(replaced.find("X-Request-Id: "), std::string::npos);
}

TEST_P(ListenerTest, KeepsAConnectionAndAnswersAPipelineInOrder) {
  Start();
  auto client = Connect();
  client->Send(
      "GET /echo?1 HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?2 HTTP/1.1\r\nHost: x\r\n\r\nGET /no "
      "HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client->ReadAnswer().ends_with("GET /echo?1 x "));
  EXPECT_TRUE(client->ReadAnswer().ends_with("GET /echo?2 x "));
  EXPECT_EQ(StatusOf(client->ReadAnswer()), "HTTP/1.1 404 Not Found");
  client->Send("\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_TRUE(client->ReadAnswer().ends_with("POST /echo x hi"));
}

TEST_P(ListenerTest, ReadsAChunkedBodyHoweverItIsCut) {
  Start();
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n";
  for (std::size_t cut = 1; cut < request.size(); cut += 3) {
    auto client = Connect();
    client->Send(request.substr(0, cut));
    std::this_thread::yield();
    client->Send(request.substr(cut));
    EXPECT_TRUE(client->ReadAnswer().ends_with("POST /echo x abcdefg")) << cut;
  }
}

TEST_P(ListenerTest, RefusesHostileInputWithAnEnvelopeAndCloses) {
  Start();
  const std::string long_line(9000, 'a');
  const std::string long_header(33 * 1024, 'b');
  std::string many;
  for (int i = 0; i < 101; ++i) many += StrCat("h", i, ": 1\r\n");
  const struct {
    std::string bytes;
    int status;
  } kCases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\rX: 1\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: x\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1,1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 33), 400},
      {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"GET / FTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /# HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"G\xC3\xA9T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"\x16\x03\x01\x02\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(17 * 1024, 'e'),
       400},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4194305\r\n\r\n", 413},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400001\r\n", 413},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n", 417},
      {"GET /" + long_line + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + long_header + "\r\n\r\n", 431},
      {"GET / HTTP/1.1\r\nHost: x\r\n" + many + "\r\n", 431},
  };
  for (const auto& c : kCases) {
    auto client = Connect();
    client->Send(c.bytes);
    const std::string answer = client->ReadAnswer();
    const std::string shown = c.bytes.substr(0, 120);
    EXPECT_EQ(StatusOf(answer), StrCat("HTTP/1.1 ", c.status, " ", ReasonPhrase(c.status))) << shown;
    EXPECT_NE(
        answer.find(StrCat(R"({"errors":[{"status":")", c.status, R"(","title":")", ReasonPhrase(c.status))),
        std::string::npos)
        << shown;
    EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos) << shown;
    EXPECT_NE(answer.find("X-Request-Id: "), std::string::npos) << shown;
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << shown;
    EXPECT_TRUE(client->IsClosed()) << shown;
  }
}

TEST_P(ListenerTest, AcceptsAnAbsoluteTarget) {
  Start();
  EXPECT_TRUE(
      Ask("GET http://there:80/echo?q HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("GET /echo?q there:80 "));
}

TEST_P(ListenerTest, TimesOutAHeadABodyAndAnIdleConnection) {
  HttpLimits limits;
  limits.header_timeout = 50ms;
  limits.body_timeout = 60ms;
  limits.idle_timeout = 70ms;
  Start(limits);
  auto slow_head = Connect();
  slow_head->Send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(StatusOf(slow_head->ReadAnswer()), "HTTP/1.1 408 Request Timeout");
  EXPECT_TRUE(slow_head->IsClosed());
  auto slow_body = Connect();
  slow_body->Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(StatusOf(slow_body->ReadAnswer()), "HTTP/1.1 408 Request Timeout");
  auto idle = Connect();
  EXPECT_TRUE(idle->IsClosed());
  auto idle_later = Connect();
  idle_later->Send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(idle_later->ReadAnswer()), "HTTP/1.1 200 OK");
  EXPECT_TRUE(idle_later->IsClosed());
}

TEST_P(ListenerTest, SendsContinueOnlyWhenTheClientWaitsForIt) {
  Start();
  auto client = Connect();
  client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client->ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client->Send("ok");
  EXPECT_TRUE(client->ReadAnswer().ends_with("POST /echo x ok"));
  client->Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok");
  EXPECT_EQ(StatusOf(client->ReadAnswer()), "HTTP/1.1 200 OK");
}

TEST_P(ListenerTest, AnswersHeadWithoutABodyAndNoContentWithoutALength) {
  Start();
  auto client = Connect();
  client->Send("HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client->ReadAnswer(false);
  EXPECT_NE(head.find("Content-Length: 13\r\n"), std::string::npos) << head;
  client->Send("GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string none = client->ReadAnswer(false);
  EXPECT_EQ(StatusOf(none), "HTTP/1.1 204 No Content");
  EXPECT_EQ(none.find("Content-Length"), std::string::npos);
  client->Send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(client->ReadAnswer(false)), "HTTP/1.1 200 OK");
  client->Send("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(StatusOf(client->ReadAnswer()), "HTTP/1.1 200 OK");
  EXPECT_TRUE(client->IsClosed());
}

TEST_P(ListenerTest, SpeaksHttp10) {
  Start();
  auto client = Connect();
  client->Send("GET /stream HTTP/1.0\r\n\r\n");
  const std::string all = client->ReadToEnd();
  EXPECT_EQ(all.find("chunked"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n\r\nonetwothree")) << all;
  auto kept = Connect();
  kept->Send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(kept->ReadAnswer().find("Connection: keep-alive\r\n"), std::string::npos);
  kept->Send("GET /echo HTTP/1.0\r\n\r\n");
  EXPECT_NE(kept->ReadToEnd().find("Connection: close\r\n"), std::string::npos);
}

TEST_P(ListenerTest, CompressesLargeAnswersWhenAsked) {
  Start();
  auto client = Connect();
  client->Send("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n");
  const std::string packed = client->ReadAnswer();
  EXPECT_NE(packed.find("Content-Encoding: gzip\r\n"), std::string::npos);
  EXPECT_NE(packed.find("Vary: Accept-Encoding\r\n"), std::string::npos);
  EXPECT_LT(packed.size(), 100'000u);
  client->Send("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n");
  EXPECT_GT(client->ReadAnswer().size(), 3'000'000u);
  client->Send("GET /echo HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_EQ(client->ReadAnswer().find("gzip"), std::string::npos);
}

TEST_P(ListenerTest, StreamsInChunksAndKeepsTheConnection) {
  Start();
  auto client = Connect();
  client->Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string all = client->ReadUntil("0\r\n\r\n");
  EXPECT_TRUE(all.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")) << all;
  client->Send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(client->ReadAnswer()), "HTTP/1.1 200 OK");
}

TEST_P(ListenerTest, ABrokenStreamClosesWithoutTheLastChunk) {
  Start();
  auto client = Connect();
  client->Send("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client->ReadToEnd().ends_with("5\r\nbegun\r\n"));
}

TEST_P(ListenerTest, ASlowReaderHoldsTheStreamBackAndIsCutOffInTheEnd) {
  HttpLimits limits;
  limits.write_timeout = 100ms;
  Start(limits);
  auto client = Connect(4096);
  client->Send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(handler_.ended.get_future().get(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(handler_.written.load(), 200);  // 20 MB: no more than what two sockets buffer
}

TEST_P(ListenerTest, ALargeAnswerReachesASlowReaderWhole) {
  Start();
  auto client = Connect(4096);
  client->Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_GT(client->ReadAnswer().size(), 3'000'000u);
}

TEST_P(ListenerTest, LargeAnswersHaveSoMuchRoomTogether) {
  HttpLimits limits;
  limits.max_large_answers_bytes = 5'000'000;
  Start(limits);
  auto slow = Connect(4096);
  slow->Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  auto other = Connect();
  std::string refused;
  while (refused.find("HTTP/1.1 503 ") != 0) {  // until the first is on its way
    other->Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    refused = other->ReadAnswer();
  }
  EXPECT_NE(refused.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_GT(slow->ReadAnswer().size(), 3'000'000u);
  std::string answer;
  while (answer.find("HTTP/1.1 200 ") != 0) {  // once it has arrived
    other->Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    answer = other->ReadAnswer();
  }
  EXPECT_GT(answer.size(), 3'000'000u);
}

TEST_P(ListenerTest, AClientThatLeavesCancelsTheCallInProgress) {
  Start();
  auto client = Connect();
  client->Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  handler_.waiting.get_future().wait();
  client->Close();
  EXPECT_EQ(handler_.ended.get_future().get(), absl::StatusCode::kCancelled);
}

TEST_P(ListenerTest, AClientThatLeavesEndsItsStream) {
  Start();
  auto client = Connect();
  client->Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  handler_.waiting.get_future().wait();
  client->Close();
  EXPECT_EQ(handler_.ended.get_future().get(), absl::StatusCode::kCancelled);
}

TEST_P(ListenerTest, AHandlerThatThrowsIsA500ThatSaysNothing) {
  Start();
  const std::string answer = Ask("GET /throw HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\n\r\n");
  EXPECT_EQ(StatusOf(answer), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(answer.find("secret"), std::string::npos);
  EXPECT_NE(answer.find("r1"), std::string::npos);
}

TEST_P(ListenerTest, RefusesConnectionsBeyondTheLimit) {
  HttpLimits limits;
  limits.max_connections = 2;
  Start(limits);
  auto first = Connect();
  auto second = Connect();
  for (auto* client : {first.get(), second.get()}) {
    client->Send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(StatusOf(client->ReadAnswer()), "HTTP/1.1 200 OK");
  }
  auto third = Connect();
  third->Send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = third->ReadAnswer();
  EXPECT_EQ(StatusOf(answer), "HTTP/1.1 503 Service Unavailable");
  EXPECT_NE(answer.find("Retry-After: "), std::string::npos);
  EXPECT_TRUE(third->IsClosed());
}

TEST_P(ListenerTest, RefusesConnectionsOfOneAddressBeyondItsLimit) {
  HttpLimits limits;
  limits.max_connections_per_address = 1;
  Start(limits);
  const auto ask_from = [this](const char* address) {
    auto client = std::make_unique<RawClient>(listener_->port(), 0, client_.get(), nullptr, address);
    client->Send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    return std::pair(StatusOf(client->ReadAnswer()), std::move(client));
  };
  auto [first_status, first] = ask_from("127.0.0.1");
  EXPECT_EQ(first_status, "HTTP/1.1 200 OK");
  EXPECT_EQ(ask_from("127.0.0.1").first, "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(ask_from("127.0.0.2").first, "HTTP/1.1 200 OK");
  first->Close();
  while (listener_->connections() > 0) std::this_thread::yield();
  EXPECT_EQ(ask_from("127.0.0.1").first, "HTTP/1.1 200 OK");
}

TEST_P(ListenerTest, StopLetsACallFinishAndCutsItOffAfterTheGrace) {
  Start();
  auto idle = Connect();
  idle->Send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(idle->ReadAnswer()), "HTTP/1.1 200 OK");
  auto busy = Connect();
  busy->Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  handler_.waiting.get_future().wait();
  listener_->Stop(50ms);
  EXPECT_TRUE(idle->IsClosed());
  EXPECT_TRUE(busy->IsClosed());
  EXPECT_EQ(handler_.ended.get_future().get(), absl::StatusCode::kCancelled);
  RawClient late(listener_->port());
  EXPECT_FALSE(late.connected());
  listener_.reset();
}

TEST_P(ListenerTest, SaysWhichAddressIsTaken) {
  Start();
  ListenerOptions options;
  options.port = listener_->port();
  Listener second(runtime_, SystemTime(), options);
  const absl::Status status = second.Bind();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(MessageOf(status).find(StrCat("127.0.0.1:", options.port)), std::string::npos);
}

TEST_P(ListenerTest, TellsTheAccessLogWhatWasAnswered) {
  std::mutex mutex;
  std::vector<std::string> lines;
  Start({}, [&](const AccessRecord& r) {
    const std::lock_guard<std::mutex> lock(mutex);
    lines.push_back(StrCat(r.verb, " ", r.path, " ", r.status, " ", r.request_id, " ", r.peer));
  });
  Ask("GET /echo?secret=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: q\r\n\r\n");
  listener_->Stop(1s);
  listener_.reset();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0], "GET /echo 200 q 127.0.0.1");
}

}  // namespace
}  // namespace fabro::http
