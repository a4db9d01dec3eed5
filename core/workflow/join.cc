#include "core/workflow/join.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/workflow/components.h"

namespace fabro::workflow {
namespace {

// Walks all branches of one parallel node side by side, a step at a time, until they have met.
class Meeting {
 public:
  Meeting(const Graph& graph, const std::vector<bool>& resolved, const Node& parallel)
      : graph_(graph), resolved_(resolved), parallel_(parallel), reached_by_(graph.nodes.size()) {
    std::vector<NodeIndex> starts;
    for (const EdgeIndex edge : parallel.out) starts.push_back(graph.edges[edge].to);
    std::ranges::sort(starts);
    const auto repeats = std::ranges::unique(starts);
    starts.erase(repeats.begin(), repeats.end());
    branches_.resize(starts.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      branches_[i].seen.resize(graph.nodes.size());
      Reach(branches_[i], starts[i]);
    }
  }

  NodeIndex Find() {
    std::optional<NodeIndex> common;  // the first that is no fan-in
    while (true) {
      std::optional<NodeIndex> fan_in;
      std::optional<NodeIndex> other;
      for (const NodeIndex node : met_) {
        std::optional<NodeIndex>& best = graph_.nodes[node].kind == NodeKind::kFanIn ? fan_in : other;
        best = best ? std::min(*best, node) : node;
      }
      if (fan_in) return *fan_in;
      if (!common) common = other;
      met_.clear();
      if (!Step()) return common.value_or(graph_.exit);
    }
  }

 private:
  struct Branch {
    std::vector<bool> seen;
    std::vector<NodeIndex> frontier;  // reached in the last step
  };

  void Reach(Branch& branch, NodeIndex node) {
    if (branch.seen[node] || node == parallel_.index) return;
    branch.seen[node] = true;
    branch.frontier.push_back(node);
    if (++reached_by_[node] == branches_.size()) met_.push_back(node);
  }

  // False when no branch gets any further.
  bool Step() {
    bool moved = false;
    for (Branch& branch : branches_) {
      const std::vector<NodeIndex> from = std::exchange(branch.frontier, {});
      for (const NodeIndex index : from) {
        const Node& node = graph_.nodes[index];
        if (resolved_[index]) {
          Reach(branch, node.join);
          continue;
        }
        for (const EdgeIndex edge : node.out) Reach(branch, graph_.edges[edge].to);
      }
      moved = moved || !branch.frontier.empty();
    }
    return moved;
  }

  const Graph& graph_;
  const std::vector<bool>& resolved_;
  const Node& parallel_;
  std::vector<std::uint32_t> reached_by_;  // how many branches reach each node
  std::vector<Branch> branches_;
  std::vector<NodeIndex> met_;  // reached by all, in the last step
};

}  // namespace

void ResolveJoins(Graph& graph) {
  std::vector<NodeIndex> parallel;
  for (const Node& node : graph.nodes) {
    if (node.kind == NodeKind::kParallel && !node.out.empty()) parallel.push_back(node.index);
  }
  if (parallel.empty()) return;
  // What comes later in the graph first: then inner ones are known when the outer one is looked at. Inside a
  // circle there is no inner and outer, and an unknown one is walked through like any node.
  std::uint32_t count = 0;
  const std::vector<std::uint32_t> components = ComponentsOf(graph, count);
  std::ranges::sort(parallel, {}, [&](NodeIndex node) { return std::pair(components[node], node); });
  std::vector<bool> resolved(graph.nodes.size());
  for (const NodeIndex node : parallel) {
    graph.nodes[node].join = Meeting(graph, resolved, graph.nodes[node]).Find();
    resolved[node] = true;
  }
}

}  // namespace fabro::workflow
