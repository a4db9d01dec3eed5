// A workflow as a picture.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/sandbox/sandbox.h"

namespace fabro::workflow {
struct Graph;
}

namespace fabro::rpc {

// DOT text for rendering: made from the parsed graph, so that only ids, labels, shapes and styles of ours
// reach the renderer, and no attribute of the source that could name a file.
std::string DotForRendering(const workflow::Graph& graph);

// SVG by Graphviz's `dot`, on a transparent background, readable in light and dark. Unavailable + kUpstream
// when the program is missing, fails, takes over 20 s or answers more than 16 MiB.
Task<absl::StatusOr<std::string>> RenderSvg(sandbox::Sandbox& host, std::string work_dir,
                                            std::shared_ptr<const workflow::Graph> graph);

}  // namespace fabro::rpc
