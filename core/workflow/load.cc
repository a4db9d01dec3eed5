#include "core/workflow/load.h"

#include <utility>

#include "core/base/strings.h"
#include "core/workflow/build.h"
#include "core/workflow/join.h"
#include "core/workflow/parser.h"
#include "core/workflow/rules.h"
#include "core/workflow/validate.h"
#include "core/workflow/variables.h"

namespace fabro::workflow {
namespace {

LoadResult Refuse(DiagnosticList& diagnostics, std::string_view problem, SourcePosition position) {
  std::string message = StrCat("Parse error: ", problem);
  if (position.line > 0) message += StrCat(" at line ", position.line, ", column ", position.column);
  diagnostics.Add(Rule::kSyntax, Subject::OfGraph(position), std::move(message));
  return {.graph = nullptr, .diagnostics = diagnostics.Take()};
}

// The length of the prefix that is UTF-8 without NUL.
std::size_t TextPrefix(std::string_view source) {
  const std::string_view until_nul = source.substr(0, source.find('\0'));
  if (IsValidUtf8(until_nul)) return until_nul.size();
  std::size_t good = 0;
  while (true) {
    const std::string_view character = TruncateUtf8(until_nul.substr(good), 1);
    if (!IsValidUtf8(character)) return good;
    good += character.size();
  }
}

}  // namespace

LoadResult LoadWorkflow(std::string_view source, const Variables& variables, const LoadOptions& options) {
  DiagnosticList diagnostics;
  const std::string too_long = StrCat("the source is longer than ", kMaxSourceBytes, " bytes");
  if (source.size() > kMaxSourceBytes) return Refuse(diagnostics, too_long, {});
  const SourceText expanded(source, variables);
  if (expanded.text().size() > kMaxSourceBytes) {
    return Refuse(diagnostics, StrCat(too_long, " with its variables replaced"), {});
  }
  const std::size_t text_prefix = TextPrefix(expanded.text());
  if (text_prefix != expanded.text().size()) {
    const bool is_nul = expanded.text()[text_prefix] == '\0';
    return Refuse(diagnostics, is_nul ? "the source holds a NUL byte" : "the source is not valid UTF-8",
                  expanded.Locate(text_prefix));
  }
  if (options.undefined_variables_are_errors) {
    for (const UndefinedVariable& undefined : expanded.undefined()) {
      diagnostics.Add(Rule::kUndefinedVariable, Subject::OfGraph(undefined.position),
                      StrCat("Variable '", Excerpt(undefined.name), "' is not defined"));
    }
  }

  ParseResult parsed = ParseDocument(expanded.text());
  if (parsed.error) return Refuse(diagnostics, parsed.error->message, expanded.Locate(parsed.error->offset));
  Built built = BuildGraph(std::move(parsed.document), expanded, options, diagnostics);
  Validate(built.graph, built.stylesheet, options, diagnostics);

  LoadResult result;
  if (!diagnostics.has_errors()) {
    ResolveJoins(built.graph);
    result.graph = std::make_shared<const Graph>(std::move(built.graph));
  }
  result.diagnostics = diagnostics.Take();
  return result;
}

}  // namespace fabro::workflow
