// The rules that look at a whole graph. Each is one pass or a graph walk: linear in nodes and edges.
#pragma once

#include "core/workflow/graph.h"
#include "core/workflow/load.h"
#include "core/workflow/rules.h"
#include "core/workflow/stylesheet.h"

namespace fabro::workflow {

void Validate(const Graph& graph, const Stylesheet& stylesheet, const LoadOptions& options,
              DiagnosticList& diagnostics);

}  // namespace fabro::workflow
