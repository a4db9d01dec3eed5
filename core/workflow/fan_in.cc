#include "core/workflow/fan_in.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace fabro::workflow {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

// Tarjan's strongly connected components with a stack of its own. Components are numbered so that every edge
// leads to the same or a lower number.
std::vector<std::uint32_t> ComponentsOf(const Graph& graph, std::uint32_t& count) {
  struct Frame {
    NodeIndex node;
    std::size_t next_edge;
  };
  const std::size_t size = graph.nodes.size();
  std::vector<std::uint32_t> component(size, kNone);
  std::vector<std::uint32_t> order(size, kNone);
  std::vector<std::uint32_t> low(size, kNone);
  std::vector<NodeIndex> pending;
  std::vector<Frame> frames;
  std::uint32_t next_order = 0;
  count = 0;
  const auto enter = [&](NodeIndex node) {
    order[node] = low[node] = next_order++;
    pending.push_back(node);
    frames.push_back({node, 0});
  };
  for (NodeIndex root = 0; root < size; ++root) {
    if (order[root] != kNone) continue;
    enter(root);
    while (!frames.empty()) {
      Frame& frame = frames.back();
      const NodeIndex node = frame.node;
      const std::vector<EdgeIndex>& out = graph.nodes[node].out;
      if (frame.next_edge < out.size()) {
        const NodeIndex target = graph.edges[out[frame.next_edge++]].to;
        if (order[target] == kNone) {
          enter(target);
        } else if (component[target] == kNone) {
          low[node] = std::min(low[node], order[target]);
        }
        continue;
      }
      if (low[node] == order[node]) {
        while (component[node] == kNone) {
          component[pending.back()] = count;
          pending.pop_back();
        }
        ++count;
      }
      frames.pop_back();
      if (!frames.empty()) low[frames.back().node] = std::min(low[frames.back().node], low[node]);
    }
  }
  return component;
}

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
