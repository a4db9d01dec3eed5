#include "core/workflow/stylesheet.h"

#include <gtest/gtest.h>

#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

std::string ModelOf(std::string_view stylesheet, std::string_view attributes, std::string_view around = "") {
  const auto graph = LoadOrFail(Around(StrCat("graph [model_stylesheet=\"", stylesheet, "\"]", around,
                                              "\ns -> n -> e n [label=N ", attributes, "]")));
  return graph ? graph->FindNode("n")->model : "";
}

TEST(Stylesheet, TheStrongerSelectorWins) {
  EXPECT_EQ(ModelOf("* { model: m1 }", ""), "m1");
  EXPECT_EQ(ModelOf("box { model: m2; } * { model: m1; }", ""), "m2");
  EXPECT_EQ(ModelOf(".x { model: m3 } box { model: m2 }", "class=x"), "m3");
  EXPECT_EQ(ModelOf("#n { llm_model: m4 } .x { model: m3 }", "class=x"), "m4");
  EXPECT_EQ(ModelOf("#n { model: m4 }", "model=own"), "own");
  EXPECT_EQ(ModelOf("#n { model: m4 }", "llm_model=own"), "own");
}

TEST(Stylesheet, TheLaterWinsAmongEquals) {
  EXPECT_EQ(ModelOf(".a { model: m1 } .b { model: m2 }", "class=\"b a\""), "m2");
  EXPECT_EQ(ModelOf(".b { model: m2 } .a { model: m1 }", "class=\"b a\""), "m1");
  EXPECT_EQ(ModelOf("* { model: m1; model: m2 }", ""), "m2");
}

TEST(Stylesheet, ShapesMatchWhatIsWrittenOrMeant) {
  EXPECT_EQ(ModelOf("tab { model: m }", "shape=tab"), "m");
  EXPECT_EQ(ModelOf("tab { model: m }", "type=prompt"), "m");
  EXPECT_EQ(ModelOf("tab { model: m }", ""), "");
  EXPECT_EQ(ModelOf("circle { model: m }", "shape=circle"), "m");
  EXPECT_EQ(ModelOf("box { model: m }", "shape=circle"), "m");
}

TEST(Stylesheet, SubgraphLabelsAreClasses) {
  EXPECT_EQ(ModelOf(".loop-a { model: m }", "", " subgraph { label=\"Loop A\" n }"), "m");
}

TEST(Stylesheet, EachPropertyIsChosenByItself) {
  const auto graph = LoadOrFail(Around(R"(
    graph [model_stylesheet="
      /* what all share */
      * { provider: p; max_tokens: 5; reasoning_effort: low; backend: api }
      #n { model: \"m 1\"; reasoning_effort: high; }
    "]
    s -> n -> e n [label=N max_tokens=7])"));
  ASSERT_TRUE(graph);
  const Node& node = *graph->FindNode("n");
  EXPECT_EQ(node.model, "m 1");
  EXPECT_EQ(node.provider, "p");
  EXPECT_EQ(node.max_tokens, 7);
  EXPECT_EQ(node.reasoning_effort, ReasoningEffort::kHigh);
  EXPECT_EQ(node.backend, Backend::kApi);
  EXPECT_EQ(node.attributes.contains("provider"), false);  // attributes stay as written
}

TEST(Stylesheet, RefusesWhatIsNone) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{", "expected a selector but found '{'"},
      {"*", "expected '{' but the stylesheet ends"},
      {"* {", "expected a property or '}' but the stylesheet ends"},
      {"* { model }", "expected ':' but found '}'"},
      {"* { model: }", "expected a value but found '}'"},
      {"* { model: \"x }", "a quoted value does not end"},
      {"* { model: \"x\" y }", "expected ';' or '}' but found 'y }'"},
      {"# { }", "expected a name after '.' or '#' but found '# { }'"},
      {"/* x", "a comment does not end"},
      {"* { reasoning_effort: much }",
       "'reasoning_effort' has the value 'much', expected low, medium or high"},
      {"*, box { }", "expected '{' but found ', box { }'"},
  };
  for (const auto& [text, message] : kCases) {
    const auto sheet = Stylesheet::Parse(text);
    ASSERT_FALSE(sheet.ok()) << text;
    EXPECT_EQ(MessageOf(sheet.status()), message) << text;
  }
  EXPECT_TRUE(Stylesheet::Parse("").ok());
  EXPECT_TRUE(Stylesheet::Parse(" * { } ").ok());
}

}  // namespace
}  // namespace fabro::workflow
