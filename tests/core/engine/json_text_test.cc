#include "core/engine/json_text.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace fabro::engine {
namespace {

TEST(JsonText, ReadsStringLiterals) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"("")", ""},
      {R"("plain")", "plain"},
      {R"("a\"b\\c\/d")", R"(a"b\c/d)"},
      {R"("\b\f\n\r\t")", "\b\f\n\r\t"},
      {R"("\u0041\u00fc\u20ac")", "A\u00fc\u20ac"},
      {R"("\ud83d\ude00")", "\U0001F600"},
      {R"("\ud83d!")", "\uFFFD!"},  // half a pair
      {R"("\ude00")", "\uFFFD"},
      {R"("\ud83d\u0041")", "\uFFFDA"},
      {R"("\u12")", "12"},  // no JSON, and no harm
      {R"("end\")", R"(end\)"},
  };
  for (const auto& [json, text] : cases) EXPECT_EQ(TextOf(json), text) << json;
}

TEST(JsonText, LeavesOtherValuesAsTheyAre) {
  for (const std::string json : {"1", "-2.5e3", "true", "null", "[1]", R"({"a":"b"})", "", "\""}) {
    EXPECT_EQ(TextOf(json), json);
  }
}

TEST(JsonText, SplitsArrays) {
  using Items = std::vector<std::string>;
  EXPECT_EQ(ValueOf("[]").items, Items{});
  EXPECT_EQ(ValueOf(R"(["a","b,c",1,true,null])").items, (Items{"a", "b,c", "1", "true", "null"}));
  EXPECT_EQ(ValueOf(R"([ [1,2] , {"k":[3,"]"]} , "x\"],[" ])").items,
            (Items{"[1,2]", R"({"k":[3,"]"]})", R"(x"],[)"}));
  EXPECT_EQ(ValueOf("3").items, std::nullopt);
  EXPECT_EQ(ValueOf("\"[]\"").items, std::nullopt);
}

}  // namespace
}  // namespace fabro::engine
