#include "gateway/openapi/schemas.h"

#include <gtest/gtest.h>

#include "tests/support/proto_source.h"

namespace fabro::openapi {
namespace {

using testing::ProtoSource;

constexpr char kSchema[] = R"(
  message All {
    bool flag = 1; int32 i32 = 2; uint64 u64 = 3; double d = 4; bytes raw = 5; Color color = 6;
    optional string maybe = 7; Inner inner = 8; repeated Inner inners = 9; map<string, int64> counts = 10;
    google.protobuf.Timestamp at = 11; google.protobuf.Struct object = 12; google.protobuf.Value any = 13;
    google.protobuf.Int64Value wrapped = 14; google.protobuf.ListValue list = 15; google.protobuf.Duration lasts = 16;
  }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_LIGHT_BLUE = 2; }
  message Inner { string name = 1; }
  message Bounded {
    string text = 1 [(fabro.api.v1.field) = {required: true pattern: "[a-z]+" max_length: 9 example: "\"abc\""}];
    repeated string many = 2 [(fabro.api.v1.field) = {min_length: 1 max_length: 3}];
    optional int32 number = 3 [(fabro.api.v1.field) = {minimum: -1.5 maximum: 10}];
    optional string nothing = 4 [(fabro.api.v1.field) = {nullable: true format: "uri"}];
    Inner unset = 5 [(fabro.api.v1.field).nullable = true];
    Color color = 6; string id = 7;
    string key = 8 [(fabro.api.v1.field).header = "X-Key"];
    string name = 9 [(fabro.api.v1.field).name = "real-name"];
    Inner beside = 10 [(fabro.api.v1.field).flatten = true];
    string seldom = 11 [(fabro.api.v1.field).omit_empty = true];
  }
  message Frame { uint32 seq = 1; oneof payload { option (fabro.api.v1.tag) = "kind"; Solo solo = 2; Twin a_b = 3; Twin c = 4; } }
  message Only { oneof payload { option (fabro.api.v1.tag) = "what"; Empty empty = 1; } }
  message Solo { int32 n = 1; } message Twin {} message Empty {}
  message Uses { All all = 1; Bounded bounded = 2; Frame frame = 3; Only only = 4; }
)";

class OpenApiSchemas : public ::testing::Test {
 protected:
  const json::Shape& ShapeOf(const std::string& type) { return *shapes_->Find(source_.Type(type)); }
  std::string Component(const std::string& name) {
    Value components = schemas_.Components();
    const Value* found = components.Find(name);
    std::string text;
    if (found != nullptr) found->AppendTo(text, -1);
    return text;
  }

  ProtoSource source_{kSchema};
  std::unique_ptr<const json::Shapes> shapes_ =
      *json::Shapes::Build({source_.Type("Uses")}, source_.factory());
  Comments comments_{""};
  Schemas schemas_{comments_};
};

TEST_F(OpenApiSchemas, KnowsEveryKind) {
  schemas_.UseAsResponse(ShapeOf("All"));
  EXPECT_EQ(
      Component("All"),
      R"({"type":"object","properties":{"flag":{"type":"boolean"},"i32":{"type":"integer","format":"int32"},)"
      R"("u64":{"type":"integer","minimum":0},"d":{"type":"number","format":"double"},)"
      R"("raw":{"type":"string","contentEncoding":"base64"},"color":{"$ref":"#/components/schemas/Color"},)"
      R"("maybe":{"type":"string"},"inner":{"$ref":"#/components/schemas/Inner"},)"
      R"("inners":{"type":"array","items":{"$ref":"#/components/schemas/Inner"}},)"
      R"("counts":{"type":"object","additionalProperties":{"type":"integer","format":"int64"}},)"
      R"("at":{"type":"string","format":"date-time"},"object":{"type":"object","additionalProperties":true},)"
      R"("any":{},"wrapped":{"type":"integer","format":"int64"},"list":{"type":"array","items":{}},)"
      R"("lasts":{"type":"string","pattern":"^-?[0-9]+(\\.[0-9]+)?s$"}},)"
      R"("required":["flag","i32","u64","d","raw","color","inners","counts"]})");
  EXPECT_EQ(Component("Color"), R"({"type":"string","enum":["red","light_blue"]})");
  EXPECT_EQ(Component("Inner"),
            R"({"type":"object","properties":{"name":{"type":"string"}},"required":["name"]})");
}

TEST_F(OpenApiSchemas, AsksInARequestOnlyForWhatIsRequired) {
  schemas_.UseAsRequest(ShapeOf("Bounded"), {ShapeOf("Bounded").FindField("id")});
  EXPECT_EQ(
      Component("Bounded"),
      R"({"type":"object","properties":{"text":{"type":"string","minLength":1,"maxLength":9,"pattern":"^(?:[a-z]+)$",)"
      R"("examples":["abc"]},"many":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":3},)"
      R"("number":{"type":"integer","format":"int32","minimum":-1.5,"maximum":10},)"
      R"("nothing":{"type":["string","null"],"format":"uri"},)"
      R"("unset":{"oneOf":[{"$ref":"#/components/schemas/Inner"},{"type":"null"}]},)"
      R"("color":{"$ref":"#/components/schemas/Color"},"real-name":{"type":"string"},"name":{"type":"string"},)"
      R"("seldom":{"type":"string"}},"required":["text"]})");
}

TEST_F(OpenApiSchemas, PromisesInAResponseWhatIsAlwaysWritten) {
  schemas_.UseAsResponse(ShapeOf("Bounded"));
  const std::string text = Component("Bounded");
  EXPECT_TRUE(
      text.ends_with(R"("required":["text","many","nothing","unset","color","id","real-name","name"]})"))
      << text;
}

TEST_F(OpenApiSchemas, DescribesATaggedOneof) {
  schemas_.UseAsResponse(ShapeOf("Frame"));
  EXPECT_EQ(
      Component("Frame"),
      R"({"allOf":[{"type":"object","properties":{"seq":{"type":"integer","format":"int64","minimum":0}},)"
      R"("required":["seq"]},{"oneOf":[{"$ref":"#/components/schemas/Solo"},{"$ref":"#/components/schemas/FrameAB"},)"
      R"({"$ref":"#/components/schemas/FrameC"}],"discriminator":{"propertyName":"kind","mapping":{)"
      R"("solo":"#/components/schemas/Solo","a_b":"#/components/schemas/FrameAB",)"
      R"("c":"#/components/schemas/FrameC"}}}]})");
  // A message of one tag holds the tag itself; one of several is joined with each.
  EXPECT_EQ(Component("Solo"), R"({"type":"object","properties":{"kind":{"type":"string","enum":["solo"]},)"
                               R"("n":{"type":"integer","format":"int32"}},"required":["kind","n"]})");
  EXPECT_EQ(Component("Twin"), R"({"type":"object"})");
  EXPECT_EQ(
      Component("FrameAB"),
      R"({"description":"","allOf":[{"type":"object","properties":{"kind":{"type":"string","enum":["a_b"]}},)"
      R"("required":["kind"]},{"$ref":"#/components/schemas/Twin"}]})");
}

TEST_F(OpenApiSchemas, DescribesAMessageThatIsOnlyATaggedOneof) {
  schemas_.UseAsResponse(ShapeOf("Only"));
  EXPECT_EQ(Component("Only"),
            R"({"oneOf":[{"$ref":"#/components/schemas/Empty"}],"discriminator":{"propertyName":"what",)"
            R"("mapping":{"empty":"#/components/schemas/Empty"}}})");
}

TEST_F(OpenApiSchemas, DescribesTheMembersAloneForNamedFrames) {
  schemas_.UseMembers(ShapeOf("Frame"));
  EXPECT_EQ(Component("Solo"),
            R"({"type":"object","properties":{"n":{"type":"integer","format":"int32"}},"required":["n"]})");
  EXPECT_EQ(Component("Frame"), "");
}

}  // namespace
}  // namespace fabro::openapi
