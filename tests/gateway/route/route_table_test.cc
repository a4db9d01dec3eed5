#include "gateway/route/route_table.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "fabro/v1/run.pb.h"
#include "proto/api.h"
#include "tests/support/proto_source.h"

namespace fabro::route {
namespace {

using testing::ProtoSource;

constexpr char kMessages[] = R"(
  message Empty {}
  message Get { string id = 1; In in = 2; repeated string many = 3; bool stream = 4; uint64 after = 5; }
  message In { string id = 1; }
  message Out { string id = 1; In in = 2; string text = 3; uint64 seq = 4;
                oneof x { option (fabro.api.v1.tag) = "kind"; Empty a = 5; } }
)";

std::string Service(const std::string& methods) {
  return std::string(kMessages) + "service S { option (fabro.api.v1.service) = {tag: \"Things\"}; " +
         methods + " }";
}

class TheRouteTable : public ::testing::Test {
 protected:
  const RouteTable& Build(const std::string& body) {
    source_ = std::make_unique<ProtoSource>(body);
    auto table = RouteTable::Build(source_->services(), source_->factory());
    EXPECT_TRUE(table.ok()) << MessageOf(table.status());
    table_ = *std::move(table);
    return *table_;
  }
  std::string Faults(const std::string& methods) {
    ProtoSource source(Service(methods));
    const auto table = RouteTable::Build(source.services(), source.factory());
    return table.ok() ? "" : MessageOf(table.status());
  }
  // "Method(variable,variable)", or what else was found.
  std::string Find(std::string_view verb, std::string_view path) {
    const absl::StatusOr<Match> match = table_->Find(verb, path);
    if (!match.ok()) return "malformed";
    if (!match->path_known()) return "unknown";
    if (match->endpoint == nullptr) return "allow " + std::string(match->allow);
    std::string text = match->endpoint->routes().front()->method->name() + "(";
    for (const std::string& variable : match->variables) text += (text.back() == '(' ? "" : ",") + variable;
    return text + ")";
  }

  std::unique_ptr<ProtoSource> source_;
  std::unique_ptr<const RouteTable> table_;
};

TEST_F(TheRouteTable, FindsByVerbAndPath) {
  Build(Service(R"(
    rpc Root(Empty) returns (Out) { option (google.api.http) = {get: "/"}; }
    rpc List(Empty) returns (Out) { option (google.api.http) = {get: "/runs"}; }
    rpc Start(Empty) returns (Out) { option (google.api.http) = {post: "/runs" body: "*"}; }
    rpc Validate(Empty) returns (Out) { option (google.api.http) = {post: "/runs/validate" body: "*"}; }
    rpc One(Get) returns (Out) { option (google.api.http) = {get: "/runs/{id}"}; }
    rpc Drop(Get) returns (Out) { option (google.api.http) = {delete: "/runs/{id}"}; }
    rpc Deep(Get) returns (Out) { option (google.api.http) = {put: "/runs/{id}/parts/{in.id}"}; })"));
  EXPECT_EQ(Find("GET", "/"), "Root()");
  EXPECT_EQ(Find("GET", "/runs"), "List()");
  EXPECT_EQ(Find("HEAD", "/runs"), "List()");
  EXPECT_EQ(Find("POST", "/runs"), "Start()");
  EXPECT_EQ(Find("GET", "/runs/7"), "One(7)");
  EXPECT_EQ(Find("DELETE", "/runs/7"), "Drop(7)");
  EXPECT_EQ(Find("PUT", "/runs/7/parts/a"), "Deep(7,a)");
  EXPECT_EQ(Find("GET", "/runs/a%2Fb%20c"), "One(a/b c)");
  EXPECT_EQ(Find("GET", "/%72uns/7"), "One(7)");
  EXPECT_EQ(Find("GET", "/runs/a+b"), "One(a+b)");
  EXPECT_EQ(Find("POST", "/runs/validate"), "Validate()");

  EXPECT_EQ(Find("GET", "/runs/validate"), "allow POST, OPTIONS");
  EXPECT_EQ(Find("PATCH", "/runs/7"), "allow GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(Find("OPTIONS", "/runs"), "allow GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(Find("get", "/runs"), "allow GET, HEAD, POST, OPTIONS");

  for (const char* path : {"", "runs", "/runs/", "//", "/runs//", "/runs//parts/a", "/run", "/runs/7/parts",
                           "/runs/7/parts/a/b", "*", "/RUNS", "/runs/7/"}) {
    EXPECT_EQ(Find("GET", path), "unknown") << path;
  }
  for (const char* path : {"/runs/%", "/runs/%2", "/runs/%zz", "/runs/%ff", "/runs/\xff"}) {
    EXPECT_EQ(Find("GET", path), "malformed") << path;
  }
  std::string long_path;
  for (int i = 0; i < 5000; ++i) long_path += "/runs";
  EXPECT_EQ(Find("GET", long_path), "unknown");
}

TEST_F(TheRouteTable, KnowsEveryPathUnderTheAliasPrefixToo) {
  Build(Service(R"(
    rpc Root(Empty) returns (Out) { option (google.api.http) = {get: "/"}; }
    rpc One(Get) returns (Out) { option (google.api.http) = {get: "/runs/{id}"}; })"));
  EXPECT_EQ(Find("GET", "/api/v1/runs/7"), "One(7)");
  EXPECT_EQ(Find("GET", "/api/v1"), "Root()");
  EXPECT_EQ(Find("GET", "/api/v1/"), "Root()");
  EXPECT_EQ(Find("GET", "/api/v10/runs/7"), "unknown");
  EXPECT_EQ(Find("GET", "/api/v1runs/7"), "unknown");
}

TEST_F(TheRouteTable, ChoosesByAcceptAmongMethodsOfOneRoute) {
  Build(Service(R"(
    rpc Stream(Get) returns (stream Out) {
      option (google.api.http) = {get: "/e/{id}"}; option (fabro.api.v1.route) = {stream: STREAM_SSE}; }
    rpc List(Get) returns (Out) {
      option (google.api.http) = {get: "/e/{id}"}; option (fabro.api.v1.route) = {accept: "application/json"}; })"));
  const Endpoint& endpoint = *table_->Find("GET", "/e/1")->endpoint;
  const auto choose = [&](std::string_view accept) {
    return endpoint.Choose(accept, nullptr).method->name();
  };
  EXPECT_EQ(choose(""), "Stream");
  EXPECT_EQ(choose("*/*"), "Stream");
  EXPECT_EQ(choose("text/event-stream"), "Stream");
  EXPECT_EQ(choose("application/json"), "List");
  EXPECT_EQ(choose("Application/JSON; q=0.9"), "List");
  EXPECT_EQ(choose("text/html, application/json, */*"), "List");
  EXPECT_EQ(choose("text/event-stream, application/json"), "Stream");
  EXPECT_EQ(choose("application/json, text/event-stream"), "List");
}

TEST_F(TheRouteTable, ChoosesByAMemberOfTheBody) {
  Build(Service(R"(
    rpc Whole(Get) returns (Out) { option (google.api.http) = {post: "/c" body: "*"}; }
    rpc Bits(Get) returns (stream Out) { option (google.api.http) = {post: "/c" body: "*"};
      option (fabro.api.v1.route) = {stream: STREAM_SSE select_field: "stream" default_selected: true}; })"));
  const Endpoint& endpoint = *table_->Find("POST", "/c")->endpoint;
  const auto choose = [&](std::string_view body) {
    const auto document = json::Document::Parse(body);
    return endpoint.Choose("", document.ok() ? &*document : nullptr).method->name();
  };
  EXPECT_EQ(choose(R"({"stream":true})"), "Bits");
  EXPECT_EQ(choose(R"({"stream":false})"), "Whole");
  EXPECT_EQ(choose(R"({"stream":null})"), "Bits");
  EXPECT_EQ(choose(R"({})"), "Bits");
  EXPECT_EQ(choose(""), "Bits");
}

TEST_F(TheRouteTable, ExpandsTheLocation) {
  Build(Service(R"(
    rpc Start(Empty) returns (Out) { option (google.api.http) = {post: "/runs"};
      option (fabro.api.v1.route) = {success: 201 location: "/runs/{id}/in/{in.id}"}; })"));
  const Route& route = *table_->routes().front();
  const auto message = source_->Make("Out", "id: 'a/b c' in { id: '7' }");
  EXPECT_EQ(route.Location(*message), "/runs/a%2Fb%20c/in/7");
  EXPECT_EQ(route.success, 201);
}

TEST_F(TheRouteTable, TellsAllFaultsAtOnce) {
  EXPECT_EQ(Faults(R"(
    rpc None(Empty) returns (Out);
    rpc Both(Empty) returns (Out) { option (google.api.http) = {get: "/b"}; option (fabro.api.v1.route) = {internal: true}; }
    rpc Inside(Empty) returns (Out) { option (fabro.api.v1.route) = {internal: true}; }
    rpc Path(Get) returns (Out) { option (google.api.http) = {get: "/c/{nope}/{in}/{many}"}; }
    rpc Body(Get) returns (Out) { option (google.api.http) = {post: "/d" body: "nope"}; }
    rpc GetBody(Get) returns (Out) { option (google.api.http) = {get: "/e" body: "*"}; }
    rpc Answer(Get) returns (Out) { option (google.api.http) = {get: "/f" response_body: "nope"};
      option (fabro.api.v1.route) = {success: 404 errors: [200] content_type: "text/plain" location: "/{in}"}; }
    rpc Stream(Get) returns (stream Out) { option (google.api.http) = {get: "/g"}; }
    rpc Same(Get) returns (Out) { option (google.api.http) = {get: "/h/{id}"}; }
    rpc Again(Get) returns (Out) { option (google.api.http) = {get: "/h/{after}"}; }
    rpc Custom(Get) returns (Out) { option (google.api.http) = {custom {kind: "LOCK" path: "/i"}}; }
    rpc Wild(Get) returns (Out) { option (google.api.http) = {get: "/j/**"}; }
    rpc Select(Get) returns (Out) { option (google.api.http) = {get: "/k"};
      option (fabro.api.v1.route) = {select_field: "stream"}; }
    rpc Sse(Get) returns (Out) { option (google.api.http) = {get: "/l"};
      option (fabro.api.v1.route) = {sse_id_field: "in" sse_cursor_field: "many"}; }
    rpc OnlyJson(Get) returns (Out) { option (google.api.http) = {get: "/m"};
      option (fabro.api.v1.route) = {accept: "application/json"}; })"),
            "test.S.None: has neither a REST route nor the option internal\n"
            "test.S.Both: is internal, but has a REST route\n"
            "test.S.Path: the path variable \"nope\" is no scalar field of the request\n"
            "test.S.Path: the path variable \"in\" is no scalar field of the request\n"
            "test.S.Path: the path variable \"many\" is no scalar field of the request\n"
            "test.S.Body: the body field \"nope\" is unknown\n"
            "test.S.GetBody: GET has no body\n"
            "test.S.Answer: the success status is not 2xx\n"
            "test.S.Answer: 200 is no error status\n"
            "test.S.Answer: the response body field \"nope\" is unknown\n"
            "test.S.Answer: a content type needs a string or bytes field as response_body\n"
            "test.S.Answer: the location's variable \"in\" is no scalar field of the response\n"
            "test.S.Stream: the option stream and the method's returns disagree\n"
            "test.S.Again: has the same route as test.S.Same\n"
            "test.S.Custom: the verb is none of get, put, post, delete, patch\n"
            "test.S.Wild: path template \"/j/**\": \"**\" is neither a literal nor a variable\n"
            "test.S.Select: select_field \"stream\" is no boolean member of the body\n"
            "test.S.Sse: has options of an event stream, but is none\n"
            "test.S.Sse: the frame id \"in\" is no scalar field of the response\n"
            "test.S.Sse: the cursor \"many\" is no scalar field of the request\n"
            "test.S.OnlyJson: no method of its route is the one taken otherwise");
}

TEST_F(TheRouteTable, TellsTheFaultsOfShapesToo) {
  ProtoSource source(R"(
    message M { Color color = 1; } enum Color { RED = 0; }
    service S { rpc A(M) returns (M); })");
  const auto table = RouteTable::Build(source.services(), source.factory());
  EXPECT_EQ(MessageOf(table.status()),
            "test.RED: has no word: neither the prefix COLOR_ nor the option json\n"
            "test.S.A: has neither a REST route nor the option internal");
}

TEST(TheRealRoutes, Compile) {
  const auto table =
      RouteTable::Build(api::Services(), google::protobuf::MessageFactory::generated_factory());
  ASSERT_TRUE(table.ok()) << MessageOf(table.status());
  const absl::StatusOr<Match> match = (*table)->Find("POST", "/runs");
  ASSERT_TRUE(match.ok());
  ASSERT_NE(match->endpoint, nullptr);
  const Route& route = *match->endpoint->routes().front();
  EXPECT_EQ(route.grpc_path, "/fabro.v1.RunService/StartRun");
  EXPECT_EQ(route.success, 201);
  EXPECT_EQ(route.input->prototype, &v1::StartRunRequest::default_instance());
  EXPECT_GE((*table)->routes().size(), 58u);  // 53 of the published description, and ours
}

}  // namespace
}  // namespace fabro::route
