#include "gateway/route/binding.h"

#include <gtest/gtest.h>

#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "tests/support/proto_source.h"

namespace fabro::route {
namespace {

using testing::ProtoSource;

constexpr char kSchema[] = R"(
  message List {
    string id = 1;
    optional int32 limit = 2 [(fabro.api.v1.field) = {query: "page[limit]" maximum: 100 clamp: true}];
    optional uint64 after = 3 [(fabro.api.v1.field) = {header: "Last-Event-ID" query: "last_event_id"}];
    optional Color color = 4;
    repeated string tag = 5;
    In in = 6 [(fabro.api.v1.field).flatten = true];
    In apart = 7;
  }
  message In { optional string word = 1 [(fabro.api.v1.field).query = "filter[word]"]; string nested = 2; }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
  message Do {
    string id = 1; In in = 2; string text = 3; int32 n = 4;
    optional string key = 5 [(fabro.api.v1.field).header = "Idempotency-Key"];
    optional bool force = 6 [(fabro.api.v1.field).query = "force"];
  }
  service S {
    option (fabro.api.v1.service) = {tag: "Things"};
    rpc GetList(List) returns (In) { option (google.api.http) = {get: "/list/{id}"}; }
    rpc DoAll(Do) returns (In) { option (google.api.http) = {post: "/do/{id}" body: "*"}; }
    rpc DoPart(Do) returns (In) { option (google.api.http) = {put: "/do/{id}/{in.word}/{n}" body: "in"}; }
    rpc DoNone(Do) returns (In) { option (google.api.http) = {post: "/none/{id}"}; }
  })";

class Binding : public ::testing::Test {
 protected:
  struct Request {
    std::string verb = "GET";
    std::string path;
    std::string query;
    std::map<std::string, std::string> headers;
    std::string body;
  };
  // The message that came of it, or the faults.
  std::string Bound(const Request& request) {
    const absl::StatusOr<Match> match = table_->Find(request.verb, request.path);
    FABRO_CHECK(match.ok() && match->endpoint != nullptr);
    const Route& route = *match->endpoint->routes().front();
    const auto body = json::Document::Parse(request.body);
    RequestParts parts{.variables = match->variables, .query = request.query};
    parts.header = [&](std::string_view name) -> std::optional<std::string_view> {
      const auto at = request.headers.find(std::string(name));
      return at == request.headers.end() ? std::nullopt : std::optional<std::string_view>(at->second);
    };
    if (!request.body.empty()) parts.body = &*body;
    const std::unique_ptr<google::protobuf::Message> message(route.input->prototype->New());
    const absl::Status status = Bind(route, parts, message.get());
    if (status.ok()) return message->ShortDebugString();
    std::string faults;
    const ErrorDetail detail = DetailOf(status).value_or(ErrorDetail{});
    for (const FieldViolation& fault : detail.fields) {
      faults += StrCat(faults.empty() ? "" : "\n", '<', fault.field, "> ", fault.description);
    }
    return faults;
  }
  std::string Query(const std::string& query) { return Bound({.path = "/list/x", .query = query}); }

  ProtoSource source_{kSchema};
  std::unique_ptr<const RouteTable> table_ = *RouteTable::Build(source_.services(), source_.factory());
};

TEST_F(Binding, ReadsTheQueryHoweverItsBracketsAreWritten) {
  EXPECT_EQ(Query("page[limit]=7"), "id: \"x\" limit: 7");
  EXPECT_EQ(Query("page%5Blimit%5D=7"), "id: \"x\" limit: 7");
  EXPECT_EQ(Query("page%5blimit%5d=%37&"), "id: \"x\" limit: 7");
  EXPECT_EQ(Query("filter[word]=a+b%2Bc"), "id: \"x\" in { word: \"a b+c\" }");
  EXPECT_EQ(Query("color=red&tag=a&tag=b"), "id: \"x\" color: COLOR_RED tag: \"a\" tag: \"b\"");
}

TEST_F(Binding, IgnoresParametersItDoesNotKnow) {
  EXPECT_EQ(Query("zzz=1&zzz=%&limit=5&id=y&apart=1&nested=q&=&&a=b=c"), "id: \"x\"");
}

TEST_F(Binding, NamesTheParameterThatIsWrong) {
  EXPECT_EQ(Query("page[limit]=many"),
            "<page[limit]> page[limit] must be a whole number from -2147483648 to 2147483647.");
  EXPECT_EQ(Query("page[limit]="),
            "<page[limit]> page[limit] must be a whole number from -2147483648 to 2147483647.");
  EXPECT_EQ(Query("page[limit]"),
            "<page[limit]> page[limit] must be a whole number from -2147483648 to 2147483647.");
  EXPECT_EQ(Query("page[limit]=1&page%5Blimit%5D=1"), "<page[limit]> page[limit] must be given once.");
  EXPECT_EQ(Query("color=blue&last_event_id=x"),
            "<color> color must be one of red.\n"
            "<last_event_id> last_event_id must be a whole number from 0 to 18446744073709551615.");
  EXPECT_EQ(Query("tag=%ff"), "<tag> tag must be percent-encoded UTF-8.");
  EXPECT_EQ(Query("tag=%f"), "<tag> tag must be percent-encoded UTF-8.");
  EXPECT_EQ(Query("t%ag=1"), "<> The name of a query parameter has a broken percent escape.");
}

TEST_F(Binding, LetsAHeaderWinOverTheQuery) {
  EXPECT_EQ(Bound({.path = "/list/x", .query = "last_event_id=3", .headers = {{"Last-Event-ID", "5"}}}),
            "id: \"x\" after: 5");
  EXPECT_EQ(Bound({.path = "/list/x", .query = "last_event_id=3", .headers = {{"Last-Event-ID", ""}}}),
            "id: \"x\" after: 3");
  EXPECT_EQ(Bound({.path = "/list/x", .headers = {{"Last-Event-ID", "-1"}}}),
            "<Last-Event-ID> Last-Event-ID must be a whole number from 0 to 18446744073709551615.");
}

TEST_F(Binding, TakesTheBodyButNotWhatBelongsElsewhere) {
  EXPECT_EQ(Bound({.verb = "POST",
                   .path = "/do/x",
                   .query = "force=true&text=no",
                   .headers = {{"Idempotency-Key", "k"}},
                   .body = R"({"id":5,"text":"t","n":1,"key":"body","force":false})"}),
            "id: \"x\" text: \"t\" n: 1 key: \"k\" force: true");
  EXPECT_EQ(Bound({.verb = "POST", .path = "/do/x"}), "id: \"x\"");
  EXPECT_EQ(Bound({.verb = "POST", .path = "/do/x", .body = R"({"n":"1","text":[]})"}),
            "<n> n must be a whole number from -2147483648 to 2147483647.\n<text> text must be a string.");
  EXPECT_EQ(Bound({.verb = "POST", .path = "/do/x", .body = "[]"}), "<> The body must be a JSON object.");
}

TEST_F(Binding, TakesTheBodyIntoOneField) {
  EXPECT_EQ(Bound({.verb = "PUT", .path = "/do/x/w/7", .body = R"({"nested":"n","word":"lost"})"}),
            "id: \"x\" in { word: \"w\" nested: \"n\" } n: 7");
  EXPECT_EQ(
      Bound({.verb = "PUT", .path = "/do/x/w/seven", .body = "5"}),
      "<> The body must be a JSON object.\n<n> n must be a whole number from -2147483648 to 2147483647.");
}

TEST_F(Binding, TakesPlainFieldsFromTheQueryWhereThereIsNoBody) {
  EXPECT_EQ(
      Bound({.verb = "POST", .path = "/none/x", .query = "text=t&n=2", .body = R"({"text":"ignored"})"}),
      "id: \"x\" text: \"t\" n: 2");
}

}  // namespace
}  // namespace fabro::route
