#include "core/workflow/variables.h"

#include <gtest/gtest.h>

#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

const Variables kVariables{{"a", "1"},        {"ab", "22"},   {"empty", ""},
                           {"lines", "x\ny"}, {"goal", "no"}, {"self", "$a"}};

TEST(Variables, AreReplacedByName) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", ""},
      {"no dollar", "no dollar"},
      {"$a", "1"},
      {"$a$ab.$a", "122.1"},
      {"$abc", "$abc"},
      {"x${a}y", "x${a}y"},
      {"$", "$"},
      {"$ $1 $-", "$ $1 $-"},
      {"$$a", "$a"},
      {"$$$a", "$1"},
      {"$$$$", "$$"},
      {"[$empty]", "[]"},
      {"$goal $$goal", "$goal $goal"},
      {"$self", "$a"},  // once
  };
  for (const auto& [source, expected] : kCases)
    EXPECT_EQ(SourceText(source, kVariables).text(), expected) << source;
}

TEST(Variables, UndefinedNamesAreListedOnce) {
  const SourceText text("$a $b\n$c $b $goal $$d", kVariables);
  ASSERT_EQ(text.undefined().size(), 2u);
  EXPECT_EQ(text.undefined()[0].name, "b");
  EXPECT_EQ(text.undefined()[1].name, "c");
  EXPECT_EQ(text.undefined()[1].position.line, 2);
  EXPECT_EQ(text.undefined()[1].position.column, 1);
}

TEST(Variables, PositionsAreThoseOfTheSourceAsWritten) {
  const SourceText text("ab$lines.c\n$$d", kVariables);
  ASSERT_EQ(text.text(), "abx\ny.c\n$d");
  const std::tuple<char, int, int> kCases[] = {{'b', 1, 2},  {'x', 1, 3}, {'y', 1, 3}, {'.', 1, 9},
                                               {'c', 1, 10}, {'$', 2, 1}, {'d', 2, 3}};
  for (const auto& [c, line, column] : kCases) {
    const SourcePosition position = text.Locate(text.text().find(c));
    EXPECT_EQ(position.line, line) << c;
    EXPECT_EQ(position.column, column) << c;
  }
  EXPECT_EQ(text.Locate(text.text().size()).column, 4);
}

TEST(Variables, ExpansionIsBounded) {
  std::string source;
  for (int i = 0; i < 10'000; ++i) source += "$big";
  const SourceText text(source, {{"big", std::string(100'000, 'x')}});
  EXPECT_GT(text.text().size(), kMaxSourceBytes);
  EXPECT_LT(text.text().size(), 2 * kMaxSourceBytes);
  const LoadResult result = LoadWorkflow(source, {{"big", std::string(100'000, 'x')}}, {});
  EXPECT_EQ(JoinMessages(result.diagnostics),
            "Parse error: the source is longer than 1048576 bytes with its variables replaced");
}

TEST(Variables, StandForAnythingInAGraph) {
  const auto graph = LoadOrFail(Around("s -> $next -> e $next [label=\"$a of $b\" max_visits=$a]"),
                                {{"next", "build"}, {"a", "3"}});
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->FindNode("build")->label, "3 of $b");
  EXPECT_EQ(graph->FindNode("build")->max_visits, 3);
}

}  // namespace
}  // namespace fabro::workflow
