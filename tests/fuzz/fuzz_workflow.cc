// Any bytes as a workflow source. The first byte chooses the options, so that both kinds of callers are
// covered.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/workflow/human_options.h"
#include "core/workflow/load.h"

namespace {

class OneFile : public fabro::workflow::FileReader {
 public:
  absl::StatusOr<std::string> Read(std::string_view path) const override {
    if (path == "f") return std::string("text with $a and \"quotes\"\n");
    return fabro::NotFound(fabro::Reason::kNotFound, path, "no such file");
  }
};

void Require(bool claim) {
  if (!claim) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fabro::workflow;
  if (size == 0) return 0;
  const std::string_view source(reinterpret_cast<const char*>(data) + 1, size - 1);
  const OneFile files;
  const Variables variables{{"a", "value"}, {"b", "x -> y"}, {"c", ""}};
  LoadOptions options;
  if (data[0] & 1) options.files = &files;
  if (data[0] & 2) options.undefined_variables_are_errors = true;
  if (data[0] & 4) options.is_known_model = [](std::string_view model) { return model == "m"; };

  const LoadResult result = LoadWorkflow(source, variables, options);
  Require((result.graph == nullptr) == HasErrors(result.diagnostics));
  Require(result.diagnostics.size() <= kMaxDiagnostics + 1);
  for (const Diagnostic& diagnostic : result.diagnostics) Require(fabro::IsValidUtf8(diagnostic.message));
  if (result.graph) {
    const Graph& graph = *result.graph;
    Require(graph.nodes[graph.start].kind == NodeKind::kStart &&
            graph.nodes[graph.exit].kind == NodeKind::kExit);
    for (const Node& node : graph.nodes) {
      Require(graph.FindNode(node.id) == &node);
      if (node.kind == NodeKind::kHuman) {
        Require(!HumanOptions(graph, node).empty() || QuestionTypeOf(graph, node) == QuestionType::kFreeform);
      }
    }
    for (const Edge& edge : graph.edges) Require(edge.is_conditional() == !edge.condition_text.empty());
  }
  const auto inlined = InlineFiles(source, variables, files);
  if (inlined.ok()) LoadWorkflow(*inlined, variables, options);
  return 0;
}
