// What a model stage is told of the run so far: a pure function of the run's state.
#pragma once

#include <string>

#include "core/engine/run_core.h"

namespace fabro::engine {

// The course's fidelity and conversation at its node: the node's own, else those of the edge that led to it,
// else the graph's.
workflow::Fidelity FidelityOf(const workflow::Graph& graph, const Frame& frame);
std::string_view ThreadOf(const workflow::Graph& graph, const Frame& frame);  // empty: none

// Markdown: the goal, then, by fidelity, the stages so far, what they answered, and the context. What a
// branch is told ends with its own course: other branches are none of its business. Bounded:
//
//   fidelity         stages  of an answer  of a value  altogether, in characters
//   full                200         8,000       2,000      64,000
//   compact             100             -         200       8,000
//   summary:high         40           800         300      12,000
//   summary:medium       15           200         100       6,000
//   summary:low           5             -           -       2,400
//   truncate              -             -           -       2,000
std::string MakePreamble(const RunCore& core, const Frame& frame, workflow::Fidelity fidelity);

}  // namespace fabro::engine
