// A Document to a Graph: values get their types, names become indexes, conditions are compiled, files are
// read and the stylesheet is applied. What cannot be read is reported and left at its default, so that
// validation sees all.
#pragma once

#include "core/workflow/document.h"
#include "core/workflow/graph.h"
#include "core/workflow/load.h"
#include "core/workflow/rules.h"
#include "core/workflow/stylesheet.h"
#include "core/workflow/variables.h"

namespace fabro::workflow {

struct Built {
  Graph graph;
  Stylesheet stylesheet;
};

Built BuildGraph(Document document, const SourceText& source, const LoadOptions& options,
                 DiagnosticList& diagnostics);

}  // namespace fabro::workflow
