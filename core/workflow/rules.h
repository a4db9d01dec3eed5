// The rules of validation by name, and the list that collects what they find.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/workflow/diagnostic.h"
#include "core/workflow/graph.h"
#include "core/workflow/load.h"

namespace fabro::workflow {

// In the order in which their diagnostics are listed: errors before warnings.
enum class Rule : std::uint8_t {
  kSyntax,
  kUndefinedVariable,
  kStartNode,
  kTerminalNode,
  kStartNoIncoming,
  kExitNoOutgoing,
  kReachability,
  kConditionSyntax,
  kStylesheetSyntax,
  kTypeKnown,
  kScriptRequired,
  kDurationRequired,
  kChildRequired,
  kRetryTargetExists,
  kFidelityValid,
  kJoinPolicyValid,
  kLanguageValid,
  kRandomWithoutConditions,
  kFileReference,
  kAttributeType,
  kHumanHasChoices,
  kPromptMissing,
  kGoalGateHasRetry,
  kThreadNeedsFullFidelity,
  kConditionalEdges,
  kFanInReachable,
  kUnknownAttribute,
  kModelKnown,
  kUnusedClass,
  kMoreDiagnostics,
};
std::string_view ToString(Rule rule);
Severity SeverityOf(Rule rule);

// What a diagnostic is about.
struct Subject {
  static Subject OfGraph(SourcePosition position = {}) { return {.position = position}; }
  static Subject Of(const Node& node) { return {.node = &node, .position = node.position}; }
  static Subject Of(const Graph& graph, const Edge& edge);

  Subject At(SourcePosition place) const;  // the same, at a nearer place

  const Node* node = nullptr;
  const Node* edge_from = nullptr;
  const Node* edge_to = nullptr;
  SourcePosition position;
};
std::string Describe(const Subject& subject);  // "Node 'fix'", "Edge a -> b", "Graph"

// Holds at most kMaxDiagnostics of a rule; what is beyond is counted.
class DiagnosticList {
 public:
  // False when a further diagnostic of the rule would only be counted: then its message need not be made.
  bool Wants(Rule rule) const { return counts_[static_cast<std::size_t>(rule)] < kMaxDiagnostics; }
  void Add(Rule rule, const Subject& subject, std::string message);
  bool has_errors() const { return has_errors_; }

  // Ordered by rule, then by place in the source, cut to kMaxDiagnostics with a last one that says how many
  // are missing.
  std::vector<Diagnostic> Take();

 private:
  static constexpr std::size_t kRules = static_cast<std::size_t>(Rule::kMoreDiagnostics) + 1;
  std::array<std::vector<Diagnostic>, kRules> by_rule_;
  std::array<std::size_t, kRules> counts_{};
  bool has_errors_ = false;
};

// Text from the source as it stands in a message: cut when long.
std::string Excerpt(std::string_view text);

}  // namespace fabro::workflow
