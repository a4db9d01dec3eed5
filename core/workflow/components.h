// Which nodes lead round in circles.
#pragma once

#include <cstdint>
#include <vector>

#include "core/workflow/graph.h"

namespace fabro::workflow {

// The strongly connected component of each node (Tarjan's algorithm with a stack of its own). Components are
// numbered so that every edge leads to the same or a lower number.
std::vector<std::uint32_t> ComponentsOf(const Graph& graph, std::uint32_t& count);

}  // namespace fabro::workflow
