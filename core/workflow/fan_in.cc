#include "core/workflow/fan_in.h"

#include <algorithm>
#include <cstdint>

#include "core/workflow/components.h"

namespace fabro::workflow {
namespace {

// One row of bits for each component: the fan-in nodes that can be reached from it, itself included.
class ReachableSets {
 public:
  explicit ReachableSets(const Graph& graph) : components_(ComponentsOf(graph, component_count_)) {
    std::size_t fan_ins = 0;
    for (const Node& node : graph.nodes) fan_ins += node.kind == NodeKind::kFanIn ? 1 : 0;
    words_ = (fan_ins + 63) / 64;
    bits_.resize(words_ * component_count_);
    std::size_t next = 0;
    for (const Node& node : graph.nodes) {
      if (node.kind != NodeKind::kFanIn) continue;
      Row(node.index)[next / 64] |= std::uint64_t{1} << (next % 64);
      ++next;
    }
    // Lower components first, so that a target's row is complete when it is merged.
    std::vector<NodeIndex> by_component(graph.nodes.size());
    for (const Node& node : graph.nodes) by_component[node.index] = node.index;
    std::sort(by_component.begin(), by_component.end(),
              [&](NodeIndex a, NodeIndex b) { return components_[a] < components_[b]; });
    for (const NodeIndex node : by_component) {
      for (const EdgeIndex edge : graph.nodes[node].out) {
        const NodeIndex target = graph.edges[edge].to;
        if (components_[target] == components_[node]) continue;
        for (std::size_t i = 0; i < words_; ++i) Row(node)[i] |= Row(target)[i];
      }
    }
  }

  // Whether one fan-in is reachable from all of these nodes.
  bool HasCommon(const Graph& graph, const std::vector<EdgeIndex>& branches) {
    for (std::size_t i = 0; i < words_; ++i) {
      std::uint64_t common = ~std::uint64_t{0};
      for (const EdgeIndex edge : branches) common &= Row(graph.edges[edge].to)[i];
      if (common != 0) return true;
    }
    return false;
  }

 private:
  std::uint64_t* Row(NodeIndex node) { return bits_.data() + components_[node] * words_; }

  std::uint32_t component_count_ = 0;
  std::vector<std::uint32_t> components_;  // of each node
  std::size_t words_ = 0;
  std::vector<std::uint64_t> bits_;
};

}  // namespace

std::vector<NodeIndex> ParallelNodesWithoutFanIn(const Graph& graph) {
  std::vector<NodeIndex> parallel;
  for (const Node& node : graph.nodes) {
    if (node.kind == NodeKind::kParallel && !node.out.empty()) parallel.push_back(node.index);
  }
  if (parallel.empty()) return parallel;
  ReachableSets reachable(graph);
  std::erase_if(parallel, [&](NodeIndex node) { return reachable.HasCommon(graph, graph.nodes[node].out); });
  return parallel;
}

}  // namespace fabro::workflow
