#include "core/engine/routing.h"

#include <algorithm>

#include "core/workflow/human_options.h"

namespace fabro::engine {
namespace {

using workflow::Edge;
using workflow::Graph;
using workflow::Node;
using workflow::NodeKind;

// Keeps the winner of one tier while its edges pass by.
class Tier {
 public:
  Tier(const Graph& graph, bool by_chance, Random& random)
      : graph_(graph), by_chance_(by_chance), random_(random) {}

  void Offer(const Edge& edge) {
    if (by_chance_) {
      // Weighted sampling in one pass: each edge replaces the winner with its share of the weight so far.
      const double weight = std::max(edge.weight, 1.0);
      total_ += weight;
      if (best_ == nullptr || random_.NextUnit() * total_ < weight) best_ = &edge;
    } else if (best_ == nullptr || IsBetter(edge, *best_)) {
      best_ = &edge;
    }
  }

  const Edge* best() const { return best_; }

 private:
  bool IsBetter(const Edge& a, const Edge& b) const {
    if (a.weight != b.weight) return a.weight > b.weight;
    return graph_.to(a).id < graph_.to(b).id;
  }

  const Graph& graph_;
  const bool by_chance_;
  Random& random_;
  double total_ = 0;
  const Edge* best_ = nullptr;
};

// The first of the ids that is set and known.
const Node* FirstOf(const Graph& graph, std::initializer_list<const std::string*> ids) {
  for (const std::string* id : ids) {
    if (id->empty()) continue;
    if (const Node* target = graph.FindNode(*id)) return target;
  }
  return nullptr;
}

}  // namespace

std::optional<Route> ChooseEdge(const Graph& graph, const Node& node, const RouteRequest& request,
                                const workflow::Lookup& lookup, Random& random) {
  const bool by_chance = node.selection == workflow::Selection::kRandom;
  const auto choose = [&](auto&& offered) {
    Tier tier(graph, by_chance, random);
    for (const workflow::EdgeIndex index : node.out) {
      const Edge& edge = graph.edges[index];
      if (offered(edge)) tier.Offer(edge);
    }
    return tier.best();
  };

  const Edge* edge =
      choose([&](const Edge& e) { return e.is_conditional() && e.condition->Evaluate(lookup); });
  if (edge != nullptr) return Route{edge, EdgeReason::kCondition};

  if (!request.preferred_label.empty()) {
    const std::string wanted = workflow::NormalizeLabel(request.preferred_label);
    edge = choose([&](const Edge& e) {
      return !e.is_conditional() && !e.label.empty() && workflow::NormalizeLabel(e.label) == wanted;
    });
    if (edge != nullptr) return Route{edge, EdgeReason::kPreferredLabel};
  }

  for (const std::string& target : request.suggested_next_ids) {
    edge = choose([&](const Edge& e) { return !e.is_conditional() && graph.to(e).id == target; });
    if (edge != nullptr) return Route{edge, EdgeReason::kSuggestedNext};
  }

  const bool is_human = node.kind == NodeKind::kHuman;
  if (is_human && request.status == OutcomeStatus::kFail) return std::nullopt;
  // A person's free text has its own edge, which nothing but the text (the suggestion above) opens.
  edge = choose([&](const Edge& e) { return !e.is_conditional() && !(is_human && e.freeform); });
  if (edge != nullptr) return Route{edge, EdgeReason::kUnconditional};
  return std::nullopt;
}

const Node* RetryTargetOf(const Graph& graph, const Node& node) {
  if (const Node* target = BranchRetryTargetOf(graph, node)) return target;
  return FirstOf(graph, {&graph.retry_target, &graph.fallback_retry_target});
}

const Node* BranchRetryTargetOf(const Graph& graph, const Node& node) {
  return FirstOf(graph, {&node.retry_target, &node.fallback_retry_target});
}

}  // namespace fabro::engine
