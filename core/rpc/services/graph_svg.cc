#include "core/rpc/services/graph_svg.h"

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/workflow/graph.h"

namespace fabro::rpc {
namespace {

constexpr std::chrono::seconds kTimeout{20};
constexpr std::string_view kStyle =
    "\n<style>@media (prefers-color-scheme: dark) { .node text, .edge text { fill: #d7e7ee; } "
    ".node polygon, .node path, .node ellipse { stroke: #6fb7d6; } .edge path { stroke: #9aa7ad; } "
    ".edge polygon { stroke: #9aa7ad; fill: #9aa7ad; } }</style>";

// A DOT string: backslashes are escaped as well, or Graphviz would take \G and the like for escapes of its
// own.
std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out + '"';
}

absl::Status Failed(std::string_view message) { return Unavailable(Reason::kUpstream, "dot", message); }

// Puts the style behind the opening <svg ...> and takes dot's own header off.
absl::StatusOr<std::string> Restyle(std::string svg) {
  const std::size_t begin = svg.find("<svg");
  const std::size_t end = begin == std::string::npos ? begin : svg.find('>', begin);
  if (end == std::string::npos) return Failed("dot gave no SVG.");
  svg.insert(end + 1, kStyle);
  return svg.substr(begin);
}

}  // namespace

std::string DotForRendering(const workflow::Graph& graph) {
  std::string dot =
      StrCat("digraph ", Quote(graph.name),
             " {\n  graph [bgcolor=transparent, rankdir=", graph.rankdir == "LR" ? "LR" : "TB",
             "]\n  node [color=\"#357f9e\", fontcolor=\"#357f9e\", fontname=Helvetica, fontsize=12]\n"
             "  edge [color=\"#666666\", fontcolor=\"#666666\", fontname=Helvetica, fontsize=10]\n");
  for (const workflow::Node& node : graph.nodes) {
    dot += StrCat("  ", Quote(node.id), " [label=", Quote(node.label),
                  ", shape=", workflow::ShapeOf(node.kind), "]\n");
  }
  for (const workflow::Edge& edge : graph.edges) {
    const std::string& text = !edge.label.empty() ? edge.label : edge.condition_text;
    dot += StrCat("  ", Quote(graph.from(edge).id), " -> ", Quote(graph.to(edge).id));
    if (!text.empty()) dot += StrCat(" [label=", Quote(text), "]");
    dot += '\n';
  }
  return dot + "}\n";
}

Task<absl::StatusOr<std::string>> RenderSvg(sandbox::Sandbox& host, std::string work_dir,
                                            std::shared_ptr<const workflow::Graph> graph) {
  sandbox::Command command;
  command.argv = {"dot", "-Tsvg"};
  command.input = DotForRendering(*graph);
  command.work_dir = std::move(work_dir);
  command.timeout = kTimeout;
  FABRO_CO_ASSIGN_OR_RETURN(const sandbox::CommandResult result,
                            co_await host.Run(std::move(command), nullptr));
  if (result.end == sandbox::CommandResult::End::kTimedOut)
    co_return Failed("dot took too long for this graph.");
  if (result.end != sandbox::CommandResult::End::kExited) co_return Cancelled("the request was cancelled");
  if (result.exit_code == 127) {
    co_return Failed("Graphviz is not installed on the server: install the package graphviz.");
  }
  if (result.exit_code != 0) co_return Failed(StrCat("dot failed: ", TruncateUtf8(Trim(result.err), 500)));
  co_return Restyle(result.out);
}

}  // namespace fabro::rpc
