// Where the branches of parallel nodes meet again.
#pragma once

#include "core/workflow/graph.h"

namespace fabro::workflow {

// Sets Node::join of every parallel node: the nearest fan-in that all its branches reach, by the longest of
// their ways to it; a parallel node inside a branch counts as one step to its own join. Without such a
// fan-in, the nearest node of any kind that they all reach; without any, the exit. Among equally near ones
// the first in the source.
void ResolveJoins(Graph& graph);

}  // namespace fabro::workflow
