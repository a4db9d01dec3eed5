#include "core/net/http_client.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <csignal>
#include <functional>
#include <thread>

#include "core/async/executor.h"
#include "core/async/waiter.h"
#include "core/base/strings.h"
#include "tests/support/pki.h"
#include "tests/support/run_task.h"
#include "tests/support/scripted_server.h"
#include "tests/support/temp_directory.h"

namespace fabro::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RunTask;
using tests::JsonAnswer;
using tests::ScriptedRequest;
using tests::ScriptedServer;

// Takes one connection, lets the test do what it likes with it, and says when the other side has left.
class RawServer {
 public:
  explicit RawServer(std::function<void(int)> talk) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, talk = std::move(talk)] {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      talk(connection);
      ::close(connection);
    });
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;
  ~RawServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  int port() const { return port_; }
  std::string url() const { return StrCat("http://127.0.0.1:", port_); }

 private:
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

// Reads until the other side closes.
void ReadToEnd(int connection) {
  char buffer[4096];
  while (::recv(connection, buffer, sizeof buffer, 0) > 0) {
  }
}

class HttpClientTest : public ::testing::Test {
 protected:
  absl::StatusOr<HttpResponse> Fetch(HttpRequest request) {
    return RunTask(runtime_.executor(), client_.Fetch(std::move(request)));
  }
  static HttpRequest Get(std::string url) {
    HttpRequest request;
    request.url = std::move(url);
    return request;
  }

  Runtime runtime_{2};
  HttpClient client_{4};
};

TEST_F(HttpClientTest, SendsARequestAndGivesTheResponse) {
  ScriptedServer server([](const ScriptedRequest&) { return JsonAnswer(418, "{\"tea\":true}"); });
  HttpRequest request = Get(server.url() + "/brew?cups=2");
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"}, {"X-Empty", ""}};
  request.body = "{\"pot\":1}";
  const auto response = Fetch(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->head.status, 418);
  EXPECT_EQ(response->body, "{\"tea\":true}");
  EXPECT_EQ(response->head.headers[0],
            std::pair(std::string("content-type"), std::string("application/json")));
  ASSERT_EQ(server.requests().size(), 1U);
  const ScriptedRequest seen = server.requests()[0];
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/brew?cups=2");
  EXPECT_EQ(seen.body, "{\"pot\":1}");
  EXPECT_TRUE(seen.HeadHas("Content-Type: application/json\r\n")) << seen.head;
  EXPECT_TRUE(seen.HeadHas("X-Empty:")) << seen.head;
  EXPECT_FALSE(seen.HeadHas("Expect")) << seen.head;
}

TEST_F(HttpClientTest, FollowsNoRedirect) {
  ScriptedServer server([](const ScriptedRequest&) {
    return "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  });
  const auto response = Fetch(Get(server.url()));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->head.status, 302);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(HttpClientTest, AnInterimResponseIsNotTheResponse) {
  ScriptedServer server([](const ScriptedRequest&) {
    return "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + JsonAnswer(200, "{}");
  });
  const auto response = Fetch(Get(server.url()));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->head.status, 200);
  EXPECT_EQ(response->head.headers[0].first, "content-type");
}

TEST_F(HttpClientTest, AnotherSchemeOrABrokenHeaderIsRefusedWithoutItsValue) {
  for (const char* url : {"file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "/path", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Fetch(Get(url)).status())) << url;
  }
  HttpRequest request = Get("http://127.0.0.1:1/");
  request.headers = {{"X-Key", "secret\r\nX-Other: 1"}};
  const absl::Status status = Fetch(request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(MessageOf(status).find("secret"), std::string::npos);
}

TEST_F(HttpClientTest, ARefusedConnectionNamesTheServerAndNothingElseOfTheUrl) {
  int port = 0;
  {
    port = RawServer([](int) {}).port();
  }
  const absl::Status status =
      Fetch(Get(StrCat("http://user:pass@127.0.0.1:", port, "/hook/s3cret?k=s3cret"))).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(MessageOf(status).starts_with(StrCat("http://127.0.0.1:", port, ": "))) << status;
  EXPECT_EQ(MessageOf(status).find("s3cret"), std::string::npos) << status;
  EXPECT_EQ(MessageOf(status).find("pass"), std::string::npos) << status;
}

TEST_F(HttpClientTest, AServerThatIsSilentIsGivenUpAtTheDeadline) {
  RawServer server(ReadToEnd);
  HttpRequest request = Get(server.url());
  request.deadline = Deadline::In(milliseconds(100));
  const absl::Status status = Fetch(request).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;

  request.deadline = Deadline::In(milliseconds(-1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Fetch(request).status()));
}

TEST_F(HttpClientTest, CancellingClosesTheConnection) {
  Waiter reached;
  Waiter left;
  RawServer server([&](int connection) {
    char byte = 0;
    EXPECT_EQ(::recv(connection, &byte, 1, 0), 1);
    reached.Complete(absl::OkStatus());
    ReadToEnd(connection);
    left.Complete(absl::OkStatus());
  });
  TaskScope scope(runtime_.executor());
  std::optional<absl::StatusOr<HttpResponse>> response;
  scope.Spawn("fetch", testing::KeepResult(client_.Fetch(Get(server.url())), &response));
  EXPECT_TRUE(RunTask(runtime_.executor(), reached.Wait()).ok());
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_TRUE(absl::IsCancelled(response->status())) << response->status();
  EXPECT_TRUE(RunTask(runtime_.executor(), left.Wait()).ok());
}

TEST_F(HttpClientTest, AResponseBeyondItsLimitFails) {
  ScriptedServer server([](const ScriptedRequest& request) {
    return JsonAnswer(200, std::string(request.target == "/fits" ? 1000 : 1001, 'x'));
  });
  HttpRequest request = Get(server.url() + "/fits");
  request.max_response_bytes = 1000;
  EXPECT_EQ(Fetch(request)->body.size(), 1000U);
  request.url = server.url() + "/more";
  const absl::Status status = Fetch(request).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST_F(HttpClientTest, HeadersWithoutEndFail) {
  ScriptedServer server([](const ScriptedRequest&) {
    std::string answer = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 100; ++i) answer += "X-Filler: " + std::string(1000, 'x') + "\r\n";
    return answer + "\r\n";
  });
  EXPECT_TRUE(absl::IsResourceExhausted(Fetch(Get(server.url())).status()));
}

TEST_F(HttpClientTest, AResponseCutShortIsAnError) {
  ScriptedServer server([](const ScriptedRequest&) {
    return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf";
  });
  EXPECT_TRUE(absl::IsUnavailable(Fetch(Get(server.url())).status()));
}

TEST_F(HttpClientTest, ABodyIsReadWhileItComesAndASlowReaderSlowsTheServer) {
  constexpr std::size_t kBytes = std::size_t{16} << 20;  // far more than is held here and in sockets
  ScriptedServer server([](const ScriptedRequest&) { return JsonAnswer(200, std::string(kBytes, 'x')); });
  HttpRequest request = Get(server.url());
  request.max_response_bytes = kBytes;
  auto read = [](HttpClient* client, HttpRequest r) -> Task<absl::StatusOr<std::size_t>> {
    auto exchange = client->Start(std::move(r));
    if (!exchange.ok()) co_return exchange.status();
    const absl::StatusOr<HttpHead> head = co_await (*exchange)->Head();
    if (!head.ok()) co_return head.status();
    std::size_t total = 0;
    while (true) {
      for (int i = 0; i < 10; ++i) co_await Yield();
      const absl::StatusOr<std::string> piece = co_await (*exchange)->Read();
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) co_return total;
      total += piece->size();
    }
  };
  const auto total = RunTask(runtime_.executor(), read(&client_, request));
  ASSERT_TRUE(total.ok()) << total.status();
  EXPECT_EQ(*total, kBytes);
}

TEST_F(HttpClientTest, MoreExchangesThanAllowedAreRefused) {
  std::vector<std::unique_ptr<RawServer>> servers;
  std::vector<std::unique_ptr<HttpExchange>> exchanges;
  for (int i = 0; i < 4; ++i) {
    servers.push_back(std::make_unique<RawServer>(ReadToEnd));
    auto exchange = client_.Start(Get(servers.back()->url()));
    ASSERT_TRUE(exchange.ok()) << exchange.status();
    exchanges.push_back(*std::move(exchange));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(client_.Start(Get(servers[0]->url())).status()));
}

TEST_F(HttpClientTest, AClientThatGoesEndsWhatIsUnderWay) {
  RawServer server(ReadToEnd);
  auto client = std::make_unique<HttpClient>();
  auto exchange = client->Start(Get(server.url()));
  ASSERT_TRUE(exchange.ok());
  client.reset();
  EXPECT_TRUE(absl::IsUnavailable(RunTask(runtime_.executor(), (*exchange)->Head()).status()));
}

TEST_F(HttpClientTest, TheEnvironmentsProxyIsNotUsed) {
  ScriptedServer server([](const ScriptedRequest&) { return JsonAnswer(200, "{}"); });
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  const auto response = Fetch(Get(server.url()));
  ::unsetenv("http_proxy");
  EXPECT_TRUE(response.ok()) << response.status();
}

class HttpClientTlsTest : public HttpClientTest {
 protected:
  // Answers one request over TLS with a certificate of the test's authority.
  static void Talk(int connection, const testing::Issued& server) {
    SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, server.certificate.get());
    SSL_CTX_use_PrivateKey(context, server.key.get());
    SSL* const tls = SSL_new(context);
    SSL_set_fd(tls, connection);
    char buffer[4096];
    if (SSL_accept(tls) == 1 && SSL_read(tls, buffer, sizeof buffer) > 0) {
      const std::string answer = JsonAnswer(200, "{}");
      SSL_write(tls, answer.data(), static_cast<int>(answer.size()));
      SSL_shutdown(tls);
    }
    SSL_free(tls);
    SSL_CTX_free(context);
  }

  absl::StatusOr<HttpResponse> FetchFrom(const std::string& host, bool verify, bool trust) {
    RawServer server([this](int connection) { Talk(connection, issued_); });
    HttpRequest request = Get(StrCat("https://", host, ":", server.port(), "/"));
    request.verify_tls = verify;
    if (trust) request.ca_file = ca_file_;
    return Fetch(request);
  }

  HttpClientTlsTest() {
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to a client that hung up
    testing::WriteFile(ca_file_, authority_.cert_pem());
  }

  testing::TempDirectory folder_;
  std::string ca_file_ = (folder_.path() / "ca.pem").string();
  testing::Issued authority_ = testing::MakeAuthority("test authority");
  testing::Issued issued_ = testing::Issue(
      [] {
        testing::CertificateSpec spec;
        spec.alternative_names = "IP:127.0.0.1";
        spec.common_names = {"elsewhere"};
        return spec;
      }(),
      &authority_);
};

TEST_F(HttpClientTlsTest, ACertificateIsVerifiedUnlessTold) {
  EXPECT_TRUE(FetchFrom("127.0.0.1", true, true).ok());
  EXPECT_TRUE(absl::IsUnavailable(FetchFrom("127.0.0.1", true, false).status())) << "an unknown authority";
  EXPECT_TRUE(absl::IsUnavailable(FetchFrom("localhost", true, true).status())) << "another name";
  EXPECT_TRUE(FetchFrom("localhost", false, false).ok());
}

}  // namespace
}  // namespace fabro::net
