#include "gateway/json/shape.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "tests/support/proto_source.h"

namespace fabro::json {
namespace {

using testing::ProtoSource;

// What Build says of a message M.
std::string Faults(const std::string& body) {
  ProtoSource source(body);
  const auto shapes = Shapes::Build({source.Type("M")}, source.factory());
  return shapes.ok() ? "" : MessageOf(shapes.status());
}

TEST(JsonShape, NamesEnumValuesByTheirTypesPrefix) {
  ProtoSource source(R"(
    message M { LLMKind kind = 1; }
    enum LLMKind { LLM_KIND_UNSPECIFIED = 0; LLM_KIND_FAST_ONE = 1; LLM_KIND_AI = 7 [(fabro.api.v1.json) = "ai-x"];
                   LLM_KIND_FAR = 100000; LLM_KIND_BELOW = -1; })");
  const auto shapes = Shapes::Build({source.Type("M")}, source.factory());
  ASSERT_TRUE(shapes.ok()) << MessageOf(shapes.status());
  const EnumShape& words = *(*shapes)->Find(source.Type("M"))->fields[0].words;
  EXPECT_EQ(words.words, (std::vector<std::string>{"fast_one", "ai-x", "far", "below"}));
  EXPECT_EQ(words.numbers.at("ai-x"), 7);
  EXPECT_EQ(words.numbers.at("below"), -1);
  EXPECT_EQ(words.by_number.at(1), "\"fast_one\"");
  EXPECT_EQ(words.rare.at(100000), "\"far\"");
}

TEST(JsonShape, CompilesWhatAMessageReaches) {
  ProtoSource source(R"(
    message M { Inner inner = 1; map<string, Leaf> leaves = 2; M again = 3; }
    message Inner { string text = 1; } message Leaf {} message Other {})");
  const auto shapes = Shapes::Build({source.Type("M")}, source.factory());
  ASSERT_TRUE(shapes.ok());
  EXPECT_NE((*shapes)->Find(source.Type("Inner")), nullptr);
  EXPECT_NE((*shapes)->Find(source.Type("Leaf")), nullptr);
  EXPECT_EQ((*shapes)->Find(source.Type("Other")), nullptr);
  EXPECT_EQ((*shapes)->Find(source.Type("M"))->FindField("again")->message,
            (*shapes)->Find(source.Type("M")));
}

TEST(JsonShape, TellsAllFaultsAtOnce) {
  const std::string faults = Faults(R"(
    message M {
      Color color = 1;
      string a = 2 [(fabro.api.v1.field).name = "b"];
      string b = 3;
      string c = 4 [(fabro.api.v1.field).nullable = true];
      string d = 5 [(fabro.api.v1.field).flatten = true];
    }
    enum Color { COLOR_UNSPECIFIED = 0; RED = 1; COLOR_BLUE = 2; COLOR_AZURE = 3 [(fabro.api.v1.json) = "blue"]; })");
  EXPECT_EQ(faults,
            "test.RED: has no word: neither the prefix COLOR_ nor the option json\n"
            "test.COLOR_AZURE: the word \"blue\" is taken\n"
            "test.M.c: nullable, but it has no presence\n"
            "test.M.d: only a single message can be flattened\n"
            "test.M: two fields have the JSON name \"b\"");
}

TEST(JsonShape, RefusesNamesThatMeetWhenFlattened) {
  EXPECT_EQ(Faults(R"(
    message M { string id = 1; In in = 2 [(fabro.api.v1.field).flatten = true]; }
    message In { string id = 1; })"),
            "test.M: two fields have the JSON name \"id\"");
  EXPECT_EQ(Faults(R"(
    message M { string id = 1; oneof x { option (fabro.api.v1.tag) = "kind"; In in = 2; In out = 3; } }
    message In { string kind = 1; })"),
            "test.M: two fields have the JSON name \"kind\"\ntest.M: two fields have the JSON name \"kind\"");
  EXPECT_NE(Faults("message M { M m = 1 [(fabro.api.v1.field).flatten = true]; }"), "");
}

TEST(JsonShape, TakesOnlyMessagesIntoATaggedOneof) {
  EXPECT_EQ(Faults("message M { oneof x { option (fabro.api.v1.tag) = \"kind\"; string text = 1; } }"),
            "test.M.text: a tagged oneof holds messages only");
}

}  // namespace
}  // namespace fabro::json
