#include "gateway/transcode/transcoder.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "fabro/v1/run.pb.h"
#include "proto/api.h"
#include "tests/support/run_task.h"

namespace fabro::transcode {
namespace {

using fabro::testing::RunTask;
using google::protobuf::Message;

// Answers methods with functions of the test's.
class FakeCore final : public upstream::Upstream {
 public:
  using Method = std::function<absl::Status(const Message& request, Message* response)>;

  Task<absl::Status> Call(const std::string& method, const Message& request, Message* response,
                          upstream::CallOptions options) override {
    last_options = options;
    ++calls;
    const auto found = methods.find(method.substr(method.rfind('/') + 1));
    if (found == methods.end()) co_return absl::UnimplementedError("");
    co_return found->second(request, response);
  }
  Task<absl::StatusOr<std::unique_ptr<upstream::Stream>>> OpenStream(const std::string&, const Message&,
                                                                     const Message&,
                                                                     upstream::CallOptions) override {
    ++calls;
    co_return FailedPrecondition(Reason::kStreamClosed, "r", "Event stream closed.");
  }

  std::map<std::string, Method> methods;
  upstream::CallOptions last_options;
  int calls = 0;
};

class TranscoderTest : public ::testing::Test {
 protected:
  TranscoderTest() {
    auto table =
        route::RouteTable::Build(api::Services(), google::protobuf::MessageFactory::generated_factory());
    FABRO_CHECK(table.ok());
    routes_ = *std::move(table);
    TranscoderOptions options;
    options.base_url = "http://here";
    options.cors_origins = kOrigins;
    options.openapi = [] { return std::make_shared<const std::string>("{}"); };
    transcoder_ = std::make_unique<Transcoder>(*routes_, *authenticator_, core_, feeds_, std::move(options));
  }
  ~TranscoderTest() override { feeds_.Stop(); }

  // "GET /runs/x", headers as "name: value" and a body.
  http::Response Ask(std::string_view line, std::vector<http::Header> headers = {}, std::string body = "") {
    http::Request request;
    request.verb = line.substr(0, line.find(' '));
    request.target = line.substr(line.find(' ') + 1);
    request.authority = "localhost:3000";
    request.id = "req";
    request.headers = std::move(headers);
    request.body = std::move(body);
    return RunTask(runtime_.executor(), transcoder_->Handle(std::move(request)));
  }
  static std::string HeaderOf(const http::Response& response, std::string_view name) {
    for (const http::Header& header : response.headers) {
      if (header.name == name) return header.value;
    }
    return "";
  }
  void Answer(const std::string& method, FakeCore::Method with) { core_.methods[method] = std::move(with); }

  inline static const std::vector<std::string> kOrigins = {"https://app.example"};
  Runtime runtime_{1};
  FakeCore core_;
  FeedHub feeds_{runtime_.executor(), core_, SystemTime(), FeedLimits()};
  std::unique_ptr<const route::RouteTable> routes_;
  std::unique_ptr<auth::Authenticator> authenticator_ = auth::MakeLoopbackAuthenticator(kOrigins);
  std::unique_ptr<Transcoder> transcoder_;
};

TEST_F(TranscoderTest, BindsCallsAndRenders) {
  Answer("RetrieveRun", [](const Message& request, Message* response) {
    EXPECT_EQ(dynamic_cast<const v1::RetrieveRunRequest&>(request).id(), "a/b");
    dynamic_cast<v1::RunStatusResponse*>(response)->set_id("ABC");
    return absl::OkStatus();
  });
  const http::Response response = Ask("GET /runs/a%2Fb");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(HeaderOf(response, "Content-Type"), "application/json");
  EXPECT_NE(response.body.find(R"("id":"ABC")"), std::string::npos) << response.body;
  EXPECT_EQ(core_.last_options.principal, "local");
  EXPECT_EQ(core_.last_options.request_id, "req");
  EXPECT_FALSE(core_.last_options.deadline.is_never());
}

TEST_F(TranscoderTest, ReadsTheBodyAndAnswersCreatedWithALocation) {
  Answer("StartRun", [](const Message& request, Message* response) {
    const auto& start = dynamic_cast<const v1::StartRunRequest&>(request);
    EXPECT_EQ(start.goal(), "win");
    EXPECT_EQ(start.idempotency_key(), "k");
    dynamic_cast<v1::RunStatusResponse*>(response)->set_id("ABC");
    return absl::OkStatus();
  });
  const http::Response response =
      Ask("POST /runs", {{"content-type", "application/json; charset=utf-8"}, {"idempotency-key", "k"}},
          R"({"goal":"win"})");
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(HeaderOf(response, "Location"), "http://here/runs/ABC");
}

TEST_F(TranscoderTest, AnswersRawContentAndNothing) {
  Answer("RetrieveRunGraph", [](const Message&, Message* response) {
    dynamic_cast<v1::RetrieveRunGraphResponse*>(response)->set_svg("<svg/>");
    return absl::OkStatus();
  });
  const http::Response graph = Ask("GET /runs/x/graph");
  EXPECT_EQ(HeaderOf(graph, "Content-Type"), "image/svg+xml");
  EXPECT_EQ(graph.body, "<svg/>");
  Answer("DeleteRun", [](const Message&, Message*) { return absl::OkStatus(); });
  const http::Response deleted = Ask("DELETE /runs/x");
  EXPECT_EQ(deleted.status, 204);
  EXPECT_TRUE(deleted.body.empty());
  EXPECT_EQ(HeaderOf(deleted, "Content-Type"), "");
}

TEST_F(TranscoderTest, ChecksInTheDocumentedOrder) {
  const struct {
    const char* what;
    const char* line;
    std::vector<http::Header> headers;
    const char* body;
    int status;
  } kCases[] = {
      {"an unknown path needs no credentials", "GET /nowhere", {{"origin", "http://evil"}}, "", 404},
      {"a trailing slash is another path", "GET /runs/", {}, "", 404},
      {"a broken escape", "GET /runs/%zz", {}, "", 400},
      {"a foreign page", "POST /runs", {{"origin", "http://evil"}}, "{", 403},
      {"a foreign page, open route", "GET /health", {{"origin", "http://evil"}}, "", 403},
      {"a bad method", "PUT /runs", {}, "", 405},
      {"a body of another type", "POST /runs", {{"content-type", "text/plain"}}, "{}", 415},
      {"no JSON", "POST /runs", {}, "{", 400},
      {"a wrong type", "POST /runs", {}, R"({"goal":1})", 400},
      {"a bad parameter", "GET /runs?page[limit]=x", {}, "", 400},
      {"a bad cursor", "GET /runs/x/events", {{"last-event-id", "x"}}, "", 400},
      {"a closed stream", "GET /runs/x/events", {}, "", 410},
      {"not built", "GET /runs", {}, "", 501},
      {"a body that nobody reads", "POST /runs/x/cancel", {{"content-type", "text/plain"}}, "{", 501},
  };
  for (const auto& c : kCases) {
    const http::Response response = Ask(c.line, c.headers, c.body);
    EXPECT_EQ(response.status, c.status) << c.what << ": " << response.body;
    EXPECT_TRUE(response.body.starts_with(StrCat(R"({"errors":[{"status":")", c.status, "\""))) << c.what;
  }
  EXPECT_EQ(HeaderOf(Ask("PUT /runs"), "Allow"), "GET, HEAD, POST, OPTIONS");
}

TEST_F(TranscoderTest, SuffixedAndAbsentJsonTypesAreJson) {
  Answer("ValidateRun", [](const Message&, Message*) { return absl::OkStatus(); });
  EXPECT_EQ(Ask("POST /runs/validate", {{"content-type", "application/x+json"}}, "{}").status, 200);
  EXPECT_EQ(Ask("POST /runs/validate", {}, "{}").status, 200);
}

TEST_F(TranscoderTest, ServesOpenApiItself) {
  const http::Response response = Ask("GET /openapi.json");
  EXPECT_EQ(response.text(), "{}");
  EXPECT_EQ(core_.calls, 0);
}

TEST_F(TranscoderTest, IsAliveWithoutItsCoreAndNotReady) {
  Answer("GetReadiness", [](const Message&, Message*) { return absl::UnavailableError("no route"); });
  const http::Response live = Ask("GET /health/live");
  EXPECT_EQ(live.status, 200);
  EXPECT_EQ(live.body, R"({"status":"ok"})");
  EXPECT_EQ(HeaderOf(live, "Content-Type"), "application/json");
  EXPECT_EQ(core_.calls, 0);
  EXPECT_EQ(Ask("GET /health/ready").status, 503);
}

TEST_F(TranscoderTest, AnswersOptionsAndPreflight) {
  const http::Response plain = Ask("OPTIONS /runs");
  EXPECT_EQ(plain.status, 204);
  EXPECT_EQ(HeaderOf(plain, "Allow"), "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(HeaderOf(plain, "Access-Control-Allow-Origin"), "");
  const http::Response preflight =
      Ask("OPTIONS /runs", {{"origin", "https://app.example"}, {"access-control-request-method", "POST"}});
  EXPECT_EQ(HeaderOf(preflight, "Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(HeaderOf(preflight, "Access-Control-Allow-Methods"), "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(HeaderOf(preflight, "Vary"), "Origin");
  EXPECT_EQ(Ask("OPTIONS *").status, 204);
  EXPECT_EQ(Ask("OPTIONS /nowhere").status, 404);
}

TEST_F(TranscoderTest, AnswersToLoopbackNamesOnly) {
  for (const auto& [host, ok] : std::map<std::string, bool>{{"localhost", true},
                                                            {"LOCALHOST:1", true},
                                                            {"127.8.9.1:80", true},
                                                            {"[::1]:3000", true},
                                                            {"", false},
                                                            {"evil.example", false},
                                                            {"localhost.evil.example", false},
                                                            {"128.0.0.1", false},
                                                            {"127.0.0.1.evil.example", false},
                                                            {"[::2]", false}}) {
    EXPECT_EQ(auth::IsLoopbackAuthority(host), ok) << host;
  }
}

}  // namespace
}  // namespace fabro::transcode
