#include "core/workflow/components.h"

#include <algorithm>
#include <limits>

namespace fabro::workflow {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

}  // namespace

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

}  // namespace fabro::workflow
