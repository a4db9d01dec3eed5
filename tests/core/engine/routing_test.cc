#include "core/engine/routing.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/workflow/load.h"

namespace fabro::engine {
namespace {

class Keys : public workflow::Lookup {
 public:
  explicit Keys(std::map<std::string, std::string, std::less<>> values) : values_(std::move(values)) {}
  std::optional<workflow::ContextValue> Find(std::string_view key) const override {
    const auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    return workflow::ContextValue{.text = found->second, .items = std::nullopt};
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

// A counter instead of chance: each call gives the next of n equal steps through [0, 1).
class Steps : public Random {
 public:
  explicit Steps(std::uint64_t n) : n_(n) {}
  std::uint64_t Next() override { return static_cast<std::uint64_t>((at_++ % n_) * (0x1.0p64 / n_)); }

 private:
  std::uint64_t n_;
  std::uint64_t at_ = 0;
};

// A graph whose node `pick` has the given attributes and edges to a, b, c.
std::shared_ptr<const workflow::Graph> Pick(const std::string& attributes, const std::string& edges) {
  const std::string source = "digraph { start -> pick  pick [" + attributes + "] " + edges +
                             " pick -> z [weight=-9] z -> a a -> b b -> c c -> exit }";
  const workflow::LoadResult loaded = workflow::LoadWorkflow(source, {}, {});
  EXPECT_NE(loaded.graph, nullptr) << workflow::JoinMessages(loaded.diagnostics);
  return loaded.graph;
}

struct Case {
  std::string edges;
  std::string label;
  std::vector<std::string> next;
  std::string target;
  EdgeReason reason;
};

TEST(Routing, TakesTheFirstTierThatOffersAnEdge) {
  using enum EdgeReason;
  const std::vector<Case> cases{
      {"pick -> a pick -> b [condition=\"outcome=success\"]", "", {}, "b", kCondition},
      {"pick -> a pick -> b [condition=\"outcome=fail\"]", "", {}, "a", kUnconditional},
      {"pick -> b [condition=\"outcome=success\"] pick -> a [condition=\"outcome!=fail\"]",
       "",
       {},
       "a",
       kCondition},
      {"pick -> b [condition=\"outcome=success\", weight=0.5] pick -> a [condition=\"outcome!=fail\"]",
       "",
       {},
       "b",
       kCondition},
      {"pick -> a [label=Go, condition=\"outcome=fail\"] pick -> b", "go", {"a"}, "b", kUnconditional},
      {"pick -> a [label=\"[G] Go\"] pick -> b [weight=5]", " GO ", {"b"}, "a", kPreferredLabel},
      {"pick -> a [label=\"G - Go\"] pick -> b [label=\"G) Go\", weight=1]",
       "[X] go",
       {},
       "b",
       kPreferredLabel},
      {"pick -> a pick -> b pick -> c", "none such", {"x", "c", "b"}, "c", kSuggestedNext},
      {"pick -> a pick -> b [condition=\"outcome=fail\"]", "", {"b"}, "a", kUnconditional},
      {"pick -> c pick -> b pick -> a", "", {}, "a", kUnconditional},
      {"pick -> c [weight=2] pick -> b [weight=2] pick -> a [weight=1]", "", {}, "b", kUnconditional},
  };
  Steps random(1);
  const Keys keys({{"outcome", "success"}});
  for (const Case& c : cases) {
    const auto graph = Pick("", c.edges);
    const RouteRequest request{.preferred_label = c.label, .suggested_next_ids = c.next};
    const auto route = ChooseEdge(*graph, *graph->FindNode("pick"), request, keys, random);
    ASSERT_TRUE(route) << c.edges;
    EXPECT_EQ(graph->to(*route->edge).id, c.target) << c.edges;
    EXPECT_EQ(route->reason, c.reason) << c.edges;
  }
}

TEST(Routing, DividesChanceByWeight) {
  // 3 : 1 : 1, for a weight below one counts as one.
  const auto graph = Pick("selection=random", "pick -> a [weight=3] pick -> b [weight=0.2]");
  const Keys keys({});
  std::map<std::string, int> taken;
  Random& random = SystemRandom();
  constexpr int kTrials = 20000;
  for (int i = 0; i < kTrials; ++i) {
    const auto route = ChooseEdge(*graph, *graph->FindNode("pick"), {}, keys, random);
    ++taken[graph->to(*route->edge).id];
  }
  EXPECT_NEAR(taken["a"], kTrials * 3 / 5, kTrials / 50);
  EXPECT_NEAR(taken["b"], kTrials / 5, kTrials / 50);
  EXPECT_NEAR(taken["z"], kTrials / 5, kTrials / 50);
}

TEST(Routing, LetsNothingPassAFailedGate) {
  const auto graph = Pick("shape=hexagon", "pick -> a [label=Yes] pick -> b [freeform=true, weight=9]");
  const workflow::Node& gate = *graph->FindNode("pick");
  const Keys keys({});
  Steps random(1);
  EXPECT_FALSE(ChooseEdge(*graph, gate, {.status = OutcomeStatus::kFail}, keys, random));
  // Only free text opens the freeform edge.
  const auto route = ChooseEdge(*graph, gate, {}, keys, random);
  EXPECT_EQ(graph->to(*route->edge).id, "a");
  const std::vector<std::string> next{"b"};
  const auto text = ChooseEdge(*graph, gate, {.suggested_next_ids = next}, keys, random);
  EXPECT_EQ(graph->to(*text->edge).id, "b");
}

TEST(Routing, FindsTheFirstRetryTarget) {
  const auto target = [](const std::string& graph_attributes, const std::string& node_attributes) {
    const std::string source = "digraph { graph [" + graph_attributes +
                               "] start -> a -> b -> pick -> exit pick [" + node_attributes + "] }";
    const auto graph = workflow::LoadWorkflow(source, {}, {}).graph;
    const workflow::Node* node = RetryTargetOf(*graph, *graph->FindNode("pick"));
    return node == nullptr ? std::string("-") : node->id;
  };
  EXPECT_EQ(target("", "label=x"), "-");
  EXPECT_EQ(target("fallback_retry_target=a", "label=x"), "a");
  EXPECT_EQ(target("fallback_retry_target=a, retry_target=b", "label=x"), "b");
  EXPECT_EQ(target("retry_target=b", "fallback_retry_target=a"), "a");
  EXPECT_EQ(target("retry_target=start", "fallback_retry_target=a, retry_target=b"), "b");
}

}  // namespace
}  // namespace fabro::engine
