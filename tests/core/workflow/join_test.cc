// Where the branches of parallel nodes meet.
#include "core/workflow/join.h"

#include <gtest/gtest.h>

#include <chrono>

#include "core/base/strings.h"
#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

// The joins of those of p, q and r (parallel) that the edges begin at; j1, j2 and j3 are fan-ins, and the run
// begins at p.
std::string JoinsOf(std::string_view edges) {
  std::string kinds = "node [shape=parallelogram, script=x]\n";
  for (const std::string_view name : {"p", "q", "r"}) {
    if (edges.find(StrCat(name, " ->")) != std::string_view::npos)
      kinds += StrCat(name, " [shape=component]\n");
  }
  for (const std::string_view name : {"j1", "j2", "j3"}) {
    if (edges.find(name) != std::string_view::npos) kinds += StrCat(name, " [shape=tripleoctagon]\n");
  }
  const auto graph = LoadOrFail(Around(StrCat(kinds, "s -> p\n", edges)));
  std::string out;
  for (const std::string_view name : {"p", "q", "r"}) {
    const Node* node = graph ? graph->FindNode(name) : nullptr;
    if (node != nullptr) out += StrCat(out.empty() ? "" : " ", name, ":", graph->nodes[node->join].id);
  }
  return out;
}

TEST(Join, IsTheNearestFanInOfAllBranches) {
  EXPECT_EQ(JoinsOf("p -> a -> j1  p -> b -> j1  j1 -> j2 -> e"), "p:j1");
  EXPECT_EQ(JoinsOf("p -> a -> j2  p -> b -> j1 -> j2 -> e  a -> e"), "p:j2");
}

TEST(Join, CountsTheLongestWay) {
  // j2 is one step from a, and j1 two; but b comes to j1 first.
  EXPECT_EQ(JoinsOf("p -> a -> j2  p -> b -> c -> j1  a -> d -> j1  j1 -> j2 -> e"), "p:j1");
}

TEST(Join, PassesInnerParallelNodesOverAsOneStep) {
  EXPECT_EQ(JoinsOf("p -> q  p -> b -> j2  q -> x -> j1  q -> y -> j1  j1 -> j2 -> e"), "p:j2 q:j1");
  // The fan-in inside is nearer to both, but it is q's.
  EXPECT_EQ(JoinsOf("p -> q  p -> r  q -> x -> j1  q -> y -> j1  r -> v -> j2  r -> w -> j2  "
                    "j1 -> j3  j2 -> j3  j3 -> e"),
            "p:j3 q:j1 r:j2");
}

TEST(Join, IsElseTheFirstCommonNodeElseTheExit) {
  EXPECT_EQ(JoinsOf("p -> a -> m  p -> b -> m  m -> e"), "p:m");
  EXPECT_EQ(JoinsOf("p -> a -> e  p -> b -> e"), "p:e");
  EXPECT_EQ(JoinsOf("p -> a  p -> b -> a  a -> e"), "p:a");
}

TEST(Join, MayBeWhereABranchBegins) { EXPECT_EQ(JoinsOf("p -> j1  p -> a -> j1  j1 -> e"), "p:j1"); }

TEST(Join, IsNotLookedForRoundTheParallelNodeItself) {
  EXPECT_EQ(JoinsOf("p -> a -> p  p -> b -> c -> j1  a -> c  j1 -> e"), "p:j1");
}

TEST(Join, OfCirclesIsFound) {
  EXPECT_EQ(JoinsOf("p -> a -> q  q -> b -> p  q -> c -> j1  p -> j1  b -> j1  j1 -> e"), "p:j1 q:j1");
}

TEST(Join, OfALargeGraphTakesNoLongTime) {
  std::string edges;
  for (int i = 0; i < 300; ++i) {  // 300 wide fans in a row, each with branches to the same fan-in
    edges += StrCat("f", i, " [shape=component] g", i, " [shape=tripleoctagon]\n");
    for (int b = 0; b < 15; ++b) edges += StrCat("f", i, " -> b", i, "x", b, " -> g", i, "\n");
    edges += StrCat("g", i, " -> ", i == 299 ? std::string("e") : StrCat("f", i + 1), "\n");
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto graph = LoadOrFail(Around(StrCat("node [shape=parallelogram, script=x]\ns -> f0\n", edges)));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->nodes[graph->FindNode("f7")->join].id, "g7");
}

}  // namespace
}  // namespace fabro::workflow
