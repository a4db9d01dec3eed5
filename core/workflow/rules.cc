#include "core/workflow/rules.h"

#include <algorithm>
#include <tuple>

#include "core/base/strings.h"

namespace fabro::workflow {
namespace {

constexpr std::size_t kExcerptCharacters = 80;

struct RuleInfo {
  std::string_view name;
  Severity severity;
};

constexpr std::array<RuleInfo, static_cast<std::size_t>(Rule::kMoreDiagnostics) + 1> kRules{{
    {"syntax", Severity::kError},
    {"undefined_variable", Severity::kError},
    {"start_node", Severity::kError},
    {"terminal_node", Severity::kError},
    {"start_no_incoming", Severity::kError},
    {"exit_no_outgoing", Severity::kError},
    {"reachability", Severity::kError},
    {"condition_syntax", Severity::kError},
    {"stylesheet_syntax", Severity::kError},
    {"type_known", Severity::kError},
    {"script_required", Severity::kError},
    {"duration_required", Severity::kError},
    {"child_required", Severity::kError},
    {"retry_target_exists", Severity::kError},
    {"fidelity_valid", Severity::kError},
    {"join_policy_valid", Severity::kError},
    {"language_valid", Severity::kError},
    {"random_without_conditions", Severity::kError},
    {"file_reference", Severity::kError},
    {"attribute_type", Severity::kError},
    {"human_has_choices", Severity::kError},
    {"prompt_missing", Severity::kWarning},
    {"goal_gate_has_retry", Severity::kWarning},
    {"thread_needs_full_fidelity", Severity::kWarning},
    {"conditional_edges", Severity::kWarning},
    {"fan_in_reachable", Severity::kWarning},
    {"unknown_attribute", Severity::kWarning},
    {"model_known", Severity::kWarning},
    {"unused_class", Severity::kWarning},
    {"more_diagnostics", Severity::kWarning},
}};

const RuleInfo& InfoOf(Rule rule) { return kRules[static_cast<std::size_t>(rule)]; }

}  // namespace

std::string_view ToString(Rule rule) { return InfoOf(rule).name; }
Severity SeverityOf(Rule rule) { return InfoOf(rule).severity; }

Subject Subject::Of(const Graph& graph, const Edge& edge) {
  return {.edge_from = &graph.from(edge), .edge_to = &graph.to(edge), .position = edge.position};
}

Subject Subject::At(SourcePosition place) const {
  Subject moved = *this;
  moved.position = place;
  return moved;
}

std::string Describe(const Subject& subject) {
  if (subject.node) return StrCat("Node '", subject.node->id, "'");
  if (subject.edge_from) return StrCat("Edge ", subject.edge_from->id, " -> ", subject.edge_to->id);
  return "Graph";
}

void DiagnosticList::Add(Rule rule, const Subject& subject, std::string message) {
  if (SeverityOf(rule) == Severity::kError) has_errors_ = true;
  const bool wanted = Wants(rule);
  ++counts_[static_cast<std::size_t>(rule)];
  if (!wanted) return;
  Diagnostic& diagnostic = by_rule_[static_cast<std::size_t>(rule)].emplace_back();
  diagnostic.rule = ToString(rule);
  diagnostic.severity = SeverityOf(rule);
  diagnostic.message = std::move(message);
  if (subject.node) diagnostic.node_id = subject.node->id;
  if (subject.edge_from) diagnostic.edge = {subject.edge_from->id, subject.edge_to->id};
  if (subject.position.line > 0) {
    diagnostic.line = subject.position.line;
    diagnostic.column = subject.position.column;
  }
}

std::vector<Diagnostic> DiagnosticList::Take() {
  std::vector<Diagnostic> taken;
  std::size_t missing = 0;
  for (std::size_t i = 0; i < kRules; ++i) {
    missing += counts_[i];
    std::sort(by_rule_[i].begin(), by_rule_[i].end(), [](const Diagnostic& a, const Diagnostic& b) {
      return std::tie(a.line, a.column, a.message) < std::tie(b.line, b.column, b.message);
    });
    for (Diagnostic& diagnostic : by_rule_[i]) {
      if (taken.size() == kMaxDiagnostics) break;
      taken.push_back(std::move(diagnostic));
    }
  }
  missing -= taken.size();
  if (missing > 0) {
    taken.push_back({.rule = std::string(ToString(Rule::kMoreDiagnostics)),
                     .severity = Severity::kWarning,
                     .message = StrCat(missing, " more problems are not listed")});
  }
  return taken;
}

std::string Excerpt(std::string_view text) {
  const std::string_view cut = TruncateUtf8(text, kExcerptCharacters);
  return cut.size() == text.size() ? std::string(text) : StrCat(cut, "...");
}

}  // namespace fabro::workflow
