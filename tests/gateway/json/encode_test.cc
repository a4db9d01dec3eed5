#include "gateway/json/encode.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/run.pb.h"
#include "tests/support/proto_source.h"

namespace fabro::json {
namespace {

using testing::ProtoSource;

constexpr char kSchema[] = R"(
  message All {
    bool flag = 1; int32 i32 = 2; int64 i64 = 3; uint32 u32 = 4; uint64 u64 = 5; float f = 6; double d = 7;
    string text = 8; bytes raw = 9; Color color = 10;
    optional string maybe = 11; Inner inner = 12; repeated int64 numbers = 13; repeated Inner inners = 14;
    map<string, string> labels = 15; map<int32, Inner> by_number = 16;
    google.protobuf.Timestamp at = 17; google.protobuf.Duration lasts = 18; google.protobuf.Struct any = 19;
    google.protobuf.Value value = 20; google.protobuf.ListValue list = 21; google.protobuf.Int64Value wrapped = 22;
    repeated string texts = 23; repeated Color colors = 24; map<string, google.protobuf.Value> values = 25;
    repeated bool flags = 26; repeated uint32 u32s = 27; repeated double ds = 28; repeated bytes raws = 29;
    repeated google.protobuf.Timestamp times = 30; map<bool, uint64> by_flag = 31;
  }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_LIGHT_BLUE = 2; }
  message Inner { string name = 1; }
  message Options {
    optional string hush = 1 [(fabro.api.v1.field).nullable = true];
    string skip = 2 [(fabro.api.v1.field).omit_empty = true];
    string renamed = 3 [(fabro.api.v1.field).name = "Other-Name"];
    Inner beside = 4 [(fabro.api.v1.field).flatten = true];
    string total = 5 [(fabro.api.v1.field).response_header = "X-Total-Count"];
    Inner nothing = 6 [(fabro.api.v1.field).nullable = true];
  }
  message Frame {
    string id = 1;
    oneof payload {
      option (fabro.api.v1.tag) = "event";
      Inner plain = 2;
      Inner loud = 3 [(fabro.api.v1.field).name = "LoudOne"];
      Empty empty = 4;
    }
    bool last = 5;
  }
  message Empty {}
)";

class JsonEncode : public ::testing::Test {
 protected:
  std::string Text(const std::string& type, const std::string& text_format) {
    const std::unique_ptr<google::protobuf::Message> message = source_.Make(type, text_format);
    std::string out;
    Encode(ShapeOf(type), *message, out);
    return out;
  }
  const Shape& ShapeOf(const std::string& type) { return *shapes_->Find(source_.Type(type)); }

  ProtoSource source_{kSchema};
  std::unique_ptr<const Shapes> shapes_ = *Shapes::Build(
      {source_.Type("All"), source_.Type("Options"), source_.Type("Frame")}, source_.factory());
};

TEST_F(JsonEncode, WritesFieldsWithoutPresenceAlwaysAndOthersWhenSet) {
  EXPECT_EQ(
      Text("All", ""),
      R"({"flag":false,"i32":0,"i64":0,"u32":0,"u64":0,"f":0,"d":0,"text":"","raw":"","numbers":[],)"
      R"("inners":[],"labels":{},"by_number":{},"texts":[],"colors":[],"values":{},"flags":[],"u32s":[],)"
      R"("ds":[],"raws":[],"times":[],"by_flag":{}})");
}

TEST_F(JsonEncode, WritesEveryKind) {
  EXPECT_EQ(
      Text("All", R"(
        flag: true i32: -2147483648 i64: 9007199254740993 u32: 4294967295 u64: 18446744073709551615 f: 0.1 d: -2.5e-7
        text: "a\"\n" raw: "\377\000" color: COLOR_LIGHT_BLUE maybe: "" inner { name: "x" } numbers: [1, -2]
        inners { name: "y" } inners {} labels { key: "b" value: "2" } labels { key: "a" value: "1" }
        by_number { key: 7 value { name: "z" } } at { seconds: 1774872000 nanos: 5000000 } lasts { seconds: 1 }
        any { fields { key: "n" value { null_value: NULL_VALUE } } fields { key: "l" value { list_value {
              values { bool_value: true } values { number_value: 1.5 } values { string_value: "s" } values {} } } } }
        value { struct_value {} } list {} wrapped { value: 0 } texts: ["p", "q"] colors: [COLOR_RED]
        values { key: "k" value { number_value: 3 } } flags: [true] u32s: [1] ds: [0.5] raws: ["a"]
        times { seconds: 0 } by_flag { key: true value: 1 } by_flag { key: false value: 2 })"),
      R"({"flag":true,"i32":-2147483648,"i64":9007199254740993,"u32":4294967295,"u64":18446744073709551615,"f":0.1,)"
      R"("d":-2.5e-07,"text":"a\"\n","raw":"/wA=","color":"light_blue","maybe":"","inner":{"name":"x"},)"
      R"("numbers":[1,-2],"inners":[{"name":"y"},{"name":""}],"labels":{"a":"1","b":"2"},)"
      R"("by_number":{"7":{"name":"z"}},"at":"2026-03-30T12:00:00.005Z","lasts":"1s",)"
      R"("any":{"l":[true,1.5,"s",null],"n":null},"value":{},"list":[],"wrapped":0,"texts":["p","q"],)"
      R"("colors":["red"],"values":{"k":3},"flags":[true],"u32s":[1],"ds":[0.5],"raws":["YQ=="],)"
      R"("times":["1970-01-01T00:00:00.000Z"],"by_flag":{"false":2,"true":1}})");
}

TEST_F(JsonEncode, FollowsTheOptions) {
  EXPECT_EQ(Text("Options", "total: '5'"), R"({"hush":null,"Other-Name":"","nothing":null})");
  EXPECT_EQ(Text("Options", "hush: 'h' skip: 's' renamed: 'r' beside { name: 'n' } nothing {}"),
            R"({"hush":"h","skip":"s","Other-Name":"r","name":"n","nothing":{"name":""}})");
}

TEST_F(JsonEncode, WritesATaggedOneofFlat) {
  EXPECT_EQ(Text("Frame", "id: '1' plain { name: 'n' } last: true"),
            R"({"id":"1","event":"plain","name":"n","last":true})");
  EXPECT_EQ(Text("Frame", "id: '1' loud {}"), R"({"id":"1","event":"LoudOne","name":"","last":false})");
  EXPECT_EQ(Text("Frame", "empty {}"), R"({"id":"","event":"empty","last":false})");
  EXPECT_EQ(Text("Frame", ""), R"({"id":"","last":false})");
}

TEST_F(JsonEncode, WritesTheMemberAloneForANamedFrame) {
  std::string out;
  const auto frame = source_.Make("Frame", "id: '1' loud { name: 'n' }");
  EXPECT_EQ(EncodeMember(ShapeOf("Frame"), *frame, out), "LoudOne");
  EXPECT_EQ(out, R"({"name":"n"})");
  out.clear();
  EXPECT_EQ(EncodeMember(ShapeOf("Frame"), *source_.Make("Frame", ""), out), "");
  EXPECT_EQ(EncodeMember(ShapeOf("Options"), *source_.Make("Options", ""), out), "");
  EXPECT_EQ(out, "");
}

TEST_F(JsonEncode, UnwrapsAField) {
  const Shape& shape = ShapeOf("All");
  const auto empty = source_.Make("All", "");
  const auto full = source_.Make("All", "inner { name: 'n' } numbers: [1, 2] any {}");
  std::string out;
  for (const auto* message : {empty.get(), full.get()}) {
    for (const char* field : {"inner", "numbers", "any"}) {
      EncodeField(*shape.FindField(field), *message, out);
      out += ' ';
    }
  }
  EXPECT_EQ(out, R"(null [] null {"name":"n"} [1,2] {} )");
}

TEST_F(JsonEncode, GivesBareTextForHeaders) {
  const Shape& shape = ShapeOf("All");
  const auto message =
      source_.Make("All", "i64: 17 text: 'a\"b' color: COLOR_RED at { seconds: 0 } numbers: 3");
  const auto text = [&](const char* field) {
    std::string out;
    AppendText(*shape.FindField(field), *message, out);
    return out;
  };
  EXPECT_EQ(text("i64"), "17");
  EXPECT_EQ(text("text"), "a\"b");
  EXPECT_EQ(text("color"), "red");
  EXPECT_EQ(text("at"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(text("maybe"), "");
  EXPECT_EQ(text("numbers"), "");
}

TEST_F(JsonEncode, LeavesOutAnEnumValueThatThisBuildDoesNotKnow) {
  const auto message = source_.Make("All", "");
  const auto* color = source_.Type("All")->FindFieldByName("color");
  message->GetReflection()->SetEnumValue(message.get(), color, 99);
  std::string out;
  Encode(ShapeOf("All"), *message, out);
  EXPECT_EQ(out.find("\"color\":"), std::string::npos);
}

TEST(JsonEncodeReal, WritesARunAsPublished) {
  const auto shapes = *Shapes::Build({v1::RunStatusResponse::descriptor()},
                                     google::protobuf::MessageFactory::generated_factory());
  v1::RunStatusResponse run;
  run.set_id("01JNQVR7M0EJ5GKAT2SC4ERS1Z");
  run.set_status(v1::RUN_STATUS_FAILED);
  run.mutable_error()->set_message("tests failed");
  run.mutable_created_at()->set_seconds(1774872000);
  std::string out;
  Encode(*shapes->Find(v1::RunStatusResponse::descriptor()), run, out);
  EXPECT_TRUE(out.starts_with(
      R"({"id":"01JNQVR7M0EJ5GKAT2SC4ERS1Z","status":"failed","error":{"message":"tests failed"})"))
      << out;
  EXPECT_NE(out.find(R"("created_at":"2026-03-30T12:00:00.000Z")"), std::string::npos) << out;
}

}  // namespace
}  // namespace fabro::json
