// Whether the branches of parallel nodes come together again.
#pragma once

#include <vector>

#include "core/workflow/graph.h"

namespace fabro::workflow {

// The parallel nodes with at least one branch for which no single fan-in node is reachable from every branch,
// by index. Takes time and memory in edges times fan-in nodes / 64.
std::vector<NodeIndex> ParallelNodesWithoutFanIn(const Graph& graph);

}  // namespace fabro::workflow
