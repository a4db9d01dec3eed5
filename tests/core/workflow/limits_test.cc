// Small sources that would make large graphs, and large ones that must stay fast.
#include <gtest/gtest.h>

#include "core/workflow/parser.h"
#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

std::string Repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

std::string FirstMessage(std::string_view source) {
  const LoadResult result = LoadWorkflow(source, {}, {});
  return result.diagnostics.empty() ? "" : result.diagnostics[0].message;
}

TEST(Limits, TheSourceIsBounded) {
  const std::string source = Around("s -> e //" + std::string(kMaxSourceBytes, 'x'));
  EXPECT_EQ(FirstMessage(source), "Parse error: the source is longer than 1048576 bytes");
}

TEST(Limits, NestingIsBoundedAndCostsNoStack) {
  const auto nested = [](int depth) {
    return "digraph { start -> exit " + Repeat("subgraph { ", depth - 1) + Repeat("} ", depth - 1) + "}";
  };
  EXPECT_EQ(FirstMessage(nested(kMaxNesting)), "");
  EXPECT_TRUE(
      FirstMessage(nested(kMaxNesting + 1)).starts_with("Parse error: blocks are nested deeper than 64"));
  EXPECT_TRUE(
      FirstMessage("digraph {" + Repeat("subgraph{", 100'000)).starts_with("Parse error: blocks are nested"));
}

TEST(Limits, NodesAndEdgesAreCounted) {
  std::string nodes = "digraph { start -> exit ";
  for (std::size_t i = 0; i < kMaxNodes - 2; ++i) nodes += StrCat("n", i, "\n");
  EXPECT_FALSE(ParseDocument(nodes + "}").error);
  EXPECT_EQ(ParseDocument(nodes + "more }").error->message, "more than 10000 nodes");
  const std::string edges = "digraph { start" + Repeat("->a", static_cast<int>(kMaxEdges));
  EXPECT_FALSE(ParseDocument(edges + "}").error);
  EXPECT_EQ(ParseDocument(edges + "->b }").error->message, "more than 50000 edges");
}

TEST(Limits, DefaultsDoNotMultiplyWithoutEnd) {
  const std::string long_text(100'000, 'x');
  std::string nodes = "digraph { node [prompt=\"" + long_text + "\"]";
  for (int i = 0; i < 1000; ++i) nodes += StrCat("n", i, ";");
  const std::string kMessage = "defaults and chains copy more than 16 MiB of attributes";
  EXPECT_EQ(ParseDocument(nodes + "}").error->message, kMessage);
  EXPECT_EQ(
      ParseDocument("digraph { a" + Repeat("->b", 1000) + "[label=\"" + long_text + "\"] }").error->message,
      kMessage);
  EXPECT_EQ(ParseDocument("digraph { edge [x=\"" + long_text + "\"]" + Repeat("subgraph{}", 1000) + "}")
                .error->message,
            kMessage);
  std::string labelled = "digraph { subgraph { label=\"" + long_text + "\"";
  for (int i = 0; i < 1000; ++i) labelled += StrCat(" n", i);
  EXPECT_EQ(ParseDocument(labelled + "}}").error->message, kMessage);
  EXPECT_FALSE(
      ParseDocument("digraph {" + Repeat("node [shape=box] ", 20'000) + Repeat("a ", 1000) + "}").error);
}

TEST(Limits, RegularExpressionsAreBoundedTogether) {
  const std::string dear = "start -> exit [condition=\"x matches ((y{9}){9}){9}\"]\n";
  EXPECT_EQ(FirstMessage("digraph { " + Repeat(dear, 5) + "}"), "");
  EXPECT_EQ(FirstMessage("digraph { " + Repeat(dear, 10'000) + "}"),
            "The regular expressions of all conditions together are too large");
}

// Deep chains, loops and fans of 10,000 nodes: walks must not use the stack.
TEST(Limits, LongGraphsLoad) {
  std::string chain = "digraph { start";
  for (std::size_t i = 0; i < kMaxNodes - 2; ++i) chain += StrCat("->n", i);
  EXPECT_TRUE(LoadWorkflow(chain + "->exit n9000->n1 }", {}, {}).graph);

  std::string fan = "digraph { start -> p p [shape=component] f [shape=tripleoctagon] f -> exit\n";
  for (std::size_t i = 0; i < kMaxNodes - 4; ++i) fan += StrCat("p -> n", i, " -> f n", i, "[label=N]\n");
  const LoadResult result = LoadWorkflow(fan + "}", {}, {});
  EXPECT_TRUE(result.graph);
  EXPECT_EQ(Render(result.diagnostics), "");
}

// Half of the nodes fan out and half join: the worst case for finding where branches meet.
TEST(Limits, ManyParallelNodesLoad) {
  std::string source = "digraph { start -> p0\n";
  const int pairs = 4990;
  for (int i = 0; i < pairs; ++i) {
    source += StrCat("p", i, "[shape=component] f", i, "[shape=tripleoctagon] p", i, " -> p", i + 1, " p", i,
                     " -> f", i, "\nf", i, " -> f", i + 1, "\n");
  }
  source += StrCat("p", pairs, " [label=P] p", pairs, " -> f", pairs, " f", pairs, " [shape=tripleoctagon] f",
                   pairs, " -> exit }");
  const LoadResult result = LoadWorkflow(source, {}, {});
  EXPECT_TRUE(result.graph) << Render(result.diagnostics);
  EXPECT_EQ(Render(result.diagnostics), "");
}

TEST(Limits, AHumanNodeMayHaveManyOptions) {
  std::string source = "digraph { start -> h h [shape=hexagon human.default_choice=exit]\n";
  for (int i = 0; i < 30'000; ++i) source += "h -> exit\n";
  EXPECT_TRUE(LoadWorkflow(source + "}", {}, {}).graph);
}

}  // namespace
}  // namespace fabro::workflow
