#include "core/workflow/parser.h"

#include <gtest/gtest.h>

#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

Document ParseOrFail(std::string_view text) {
  ParseResult result = ParseDocument(text);
  EXPECT_FALSE(result.error) << text << ": " << result.error->message;
  return std::move(result.document);
}

std::string Attributes(const AttributeMap& attributes) {
  std::string out;
  for (const auto& [name, value] : attributes) out += StrCat(out.empty() ? "" : " ", name, "=", value.text);
  return out;
}

TEST(Parser, ReadsNamesAndStatements) {
  EXPECT_EQ(ParseOrFail("digraph{}").name, "");
  EXPECT_EQ(ParseOrFail("digraph flow { }").name, "flow");
  const Document document =
      ParseOrFail("digraph \"A flow\" { goal = \"x\"; rankdir=LR graph [label=L goal=y] a; b }");
  EXPECT_EQ(document.name, "A flow");
  EXPECT_EQ(Attributes(document.attributes), "goal=y label=L rankdir=LR");
  ASSERT_EQ(document.nodes.size(), 2u);
  EXPECT_EQ(document.nodes[1].id, "b");
}

TEST(Parser, AttributeListsTakeAnySeparator) {
  const Document document =
      ParseOrFail("digraph { a [x=1, y=2; z=3 human.default_choice=\"q\" w,] [v=\"5\"] b [] }");
  EXPECT_EQ(Attributes(document.nodes[0].attributes), "human.default_choice=q v=5 w=true x=1 y=2 z=3");
  EXPECT_EQ(Attributes(document.nodes[1].attributes), "");
}

TEST(Parser, AChainGivesItsAttributesToEveryPair) {
  const Document document = ParseOrFail("digraph { a -> b -> a -> c [weight=2] [label=x] }");
  ASSERT_EQ(document.nodes.size(), 3u);
  ASSERT_EQ(document.edges.size(), 3u);
  EXPECT_EQ(document.edges[1].from, 1u);
  EXPECT_EQ(document.edges[1].to, 0u);
  for (const DocumentEdge& edge : document.edges) EXPECT_EQ(Attributes(edge.attributes), "label=x weight=2");
}

TEST(Parser, NamingANodeAgainMergesAndTheLaterWins) {
  const Document document = ParseOrFail("digraph { a [x=1 y=1] a -> b a [y=2] b [z=1] }");
  EXPECT_EQ(Attributes(document.nodes[0].attributes), "x=1 y=2");
  EXPECT_EQ(Attributes(document.nodes[1].attributes), "z=1");
}

TEST(Parser, AliasesAreOneAttribute) {
  const Document document = ParseOrFail("digraph { a [model=x llm_model=y] b [tool_command=t, script=s] }");
  EXPECT_EQ(Attributes(document.nodes[0].attributes), "model=y");
  EXPECT_EQ(Attributes(document.nodes[1].attributes), "script=s");
}

TEST(Parser, DefaultsReachWhatFollowsInTheirBlockAndItsBlocks) {
  const Document document = ParseOrFail(R"(digraph {
    before
    node [shape=tab x=0]
    edge [weight=1]
    a -> b
    subgraph inner { node [x=1] edge [weight=2] c -> d a [y=1] subgraph { f } }
    g [x=9]
    b -> g
  })");
  std::map<std::string, std::string> nodes;
  for (const DocumentNode& node : document.nodes) nodes[node.id] = Attributes(node.attributes);
  EXPECT_EQ(nodes["before"], "");
  EXPECT_EQ(nodes["a"], "shape=tab x=0 y=1");  // made outside: the inner default came too late
  EXPECT_EQ(nodes["c"], "shape=tab x=1");
  EXPECT_EQ(nodes["f"], "shape=tab x=1");
  EXPECT_EQ(nodes["g"], "shape=tab x=9");
  ASSERT_EQ(document.edges.size(), 3u);
  EXPECT_EQ(Attributes(document.edges[0].attributes), "weight=1");
  EXPECT_EQ(Attributes(document.edges[1].attributes), "weight=2");
  EXPECT_EQ(Attributes(document.edges[2].attributes), "weight=1");
}

TEST(Parser, ASubgraphsLabelIsAClassOfTheNodesInside) {
  const Document document = ParseOrFail(R"(digraph { a
    subgraph "one" { a -> b; label = "Loop A"
      subgraph { graph [label="In, ner!"] c c } }
    subgraph { d } })");
  std::map<std::string, std::string> classes;
  for (const DocumentNode& node : document.nodes) classes[node.id] = Join(node.classes, " ");
  EXPECT_EQ(classes["a"], "loop-a");
  EXPECT_EQ(classes["b"], "loop-a");
  EXPECT_EQ(classes["c"], "in-ner loop-a");
  EXPECT_EQ(classes["d"], "");
  EXPECT_EQ(Attributes(document.attributes), "");
}

TEST(Parser, ClassesOfLabels) {
  EXPECT_EQ(ClassOfLabel("Loop A"), "loop-a");
  EXPECT_EQ(ClassOfLabel("  Build & Test (2) "), "build--test-2");
  EXPECT_EQ(ClassOfLabel("?!"), "");
}

TEST(Parser, ErrorsSayWhere) {
  const std::tuple<const char*, const char*, std::size_t> kCases[] = {
      {"", "expected 'digraph' but found the end of the text", 0},
      {"digraph", "expected a name or '{' but found the end of the text", 7},
      {"digraph node {}", "expected a name or '{' but found 'node'", 8},
      {"digraph { a [x=1 }", "expected an attribute or ']' but found '}'", 17},
      {"digraph { a [x.=1] }", "expected an identifier after '.' but found '='", 15},
      {"digraph { a [\"x\"=1] }", "an attribute's name is an identifier, not a string", 13},
      {"digraph { a -> }", "expected a node id but found '}'", 15},
      {"digraph { a -> \"b\" }", "expected a node id but found \"b\"", 15},
      {"digraph { node }", "expected '[' but found '}'", 15},
      {"digraph { graph=1 }", "expected '[' but found '='", 15},
      {"digraph { strict }", "'strict' cannot stand here", 10},
      {"digraph { subgraph a b }", "expected '{' but found 'b'", 21},
      {"digraph { = }", "expected a statement or '}' but found '='", 10},
      {"digraph { a } }", "expected the end of the text but found '}'", 14},
      {"digraph { a:b }", "ports are not supported", 11},
  };
  for (const auto& [text, message, offset] : kCases) {
    const ParseResult result = ParseDocument(text);
    ASSERT_TRUE(result.error) << text;
    EXPECT_EQ(result.error->message, message) << text;
    EXPECT_EQ(result.error->offset, offset) << text;
  }
}

}  // namespace
}  // namespace fabro::workflow
