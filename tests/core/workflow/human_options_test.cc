#include "core/workflow/human_options.h"

#include <gtest/gtest.h>

#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

// "key=label->target" of each option of the node `h` with these edges.
std::string Options(std::string_view edges) {
  const auto graph =
      LoadOrFail(Around(StrCat("s -> h h [shape=hexagon] a [label=A] b [label=B] a -> e b -> e h -> a\n"
                               "s -> b\n",
                               edges)));
  if (!graph) return "";
  std::string out;
  for (const HumanOption& option : HumanOptions(*graph, *graph->FindNode("h"))) {
    if (option.edge == graph->FindNode("h")->out[0]) continue;  // keeps `a` reachable
    out += StrCat(out.empty() ? "" : " ", option.key, "=", option.label, "->", option.target);
  }
  return out;
}

QuestionType TypeOf(std::string_view source) {
  const auto graph = LoadOrFail(Around(source));
  return QuestionTypeOf(*graph, *graph->FindNode("h"));
}

TEST(HumanOptions, AcceleratorsAreTakenOffLabels) {
  const std::tuple<const char*, const char*, const char*> kCases[] = {
      {"[A] Approve", "A", "Approve"},
      {"A) Approve", "A", "Approve"},
      {"A - Approve", "A", "Approve"},
      {"  [yes] Do it ", "yes", "Do it"},
      {"[1] One", "1", "One"},
      {"Approve", "", "Approve"},
      {"[A]", "", "[A]"},
      {"A)", "", "A)"},
      {"A - ", "", "A -"},
      {"A -Approve", "", "A -Approve"},
      {"OK) fine", "", "OK) fine"},
      {"[a b] c", "", "[a b] c"},
      {"[toolongkey] c", "", "[toolongkey] c"},
      {"[A", "", "[A"},
      {"", "", ""},
      {") x", "", ") x"},
  };
  for (const auto& [label, accelerator, rest] : kCases) {
    EXPECT_EQ(AcceleratorOf(label), accelerator) << label;
    EXPECT_EQ(StripAccelerator(label), rest) << label;
  }
  EXPECT_EQ(NormalizeLabel(" [A] Approve It "), "approve it");
}

TEST(HumanOptions, KeysComeFromAcceleratorsAndLabels) {
  EXPECT_EQ(Options("h -> b [label=\"[X] Exit\"] h -> e [label=Retry]"), "X=[X] Exit->b R=Retry->e");
  EXPECT_EQ(Options("h -> b h -> e [label=\" \"]"), "b=b->b e=e->e");
  EXPECT_EQ(Options("h -> b [label=Fix] h -> e [label=fail]"),
            "F=Fix->b i=fail->e");  // `a` is the hidden edge's
  EXPECT_EQ(Options("h -> b [label=Zz] h -> e [label=ZZ] h -> e [label=zz]"), "Z=Zz->b 1=ZZ->e 2=zz->e");
  EXPECT_EQ(Options("h -> b [label=\"? yes\"] h -> e [label=\"é\"]"), "y=? yes->b é=é->e");
  EXPECT_EQ(Options("h -> b [label=Finish] h -> e [label=\"[F] Fail\"]"), "i=Finish->b F=[F] Fail->e");
  EXPECT_EQ(Options("h -> b [label=\"[F] Fix\"] h -> e [label=\"[f] Fail\"]"), "F=[F] Fix->b i=[f] Fail->e");
}

TEST(HumanOptions, FreeformEdgesAreNoOptions) {
  EXPECT_EQ(Options("h -> b [label=Text freeform=true] h -> e [label=Go]"), "G=Go->e");
  const auto graph = LoadOrFail(Around("s -> h h [shape=hexagon] h -> e [freeform=true] h -> e"));
  EXPECT_TRUE(AllowsFreeform(*graph, *graph->FindNode("h")));
  const auto without = LoadOrFail(Around("s -> h h [shape=hexagon] h -> e"));
  EXPECT_FALSE(AllowsFreeform(*without, *without->FindNode("h")));
}

TEST(HumanOptions, TheQuestionTypeFollowsFromTheEdges) {
  EXPECT_EQ(TypeOf("s -> h h [shape=hexagon] h -> e [freeform=true]"), QuestionType::kFreeform);
  EXPECT_EQ(TypeOf("s -> h h [shape=hexagon] h -> e"), QuestionType::kMultipleChoice);
  EXPECT_EQ(TypeOf("s -> h h [shape=hexagon] h -> e [label=\"[Y] Yes\"] h -> e [label=no]"),
            QuestionType::kYesNo);
  EXPECT_EQ(TypeOf("s -> h h [shape=hexagon] h -> e [label=No] h -> e [label=Yes]"), QuestionType::kYesNo);
  EXPECT_EQ(TypeOf("s -> h h [shape=hexagon] h -> e [label=Yes] h -> e [label=Yes]"),
            QuestionType::kMultipleChoice);
  EXPECT_EQ(TypeOf("s -> h h [shape=hexagon human.multi_select=true] h -> e [label=Yes] h -> e [label=no]"),
            QuestionType::kMultiSelect);
  EXPECT_EQ(ToString(QuestionType::kYesNo), "yes_no");
}

TEST(HumanOptions, AChoiceIsFoundByTargetKeyOrLabel) {
  const std::vector<HumanOption> options{{"b", "[b] Go on", "x", 0}, {"c", "Stop", "b", 1}};
  EXPECT_EQ(FindOption(options, "b"), &options[1]);  // a target before a key
  EXPECT_EQ(FindOption(options, "B"), &options[0]);
  EXPECT_EQ(FindOption(options, "GO ON"), &options[0]);
  EXPECT_EQ(FindOption(options, "stop"), &options[1]);
  EXPECT_EQ(FindOption(options, "other"), nullptr);
}

}  // namespace
}  // namespace fabro::workflow
