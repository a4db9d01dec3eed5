#include "core/workflow/validate.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/base/strings.h"
#include "core/workflow/fan_in.h"
#include "core/workflow/human_options.h"

namespace fabro::workflow {
namespace {

struct Input {
  const Graph& graph;
  const Stylesheet& stylesheet;
  const LoadOptions& options;
};

std::size_t CountOfKind(const Graph& graph, NodeKind kind) {
  return static_cast<std::size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                                [&](const Node& node) { return node.kind == kind; }));
}

bool IsModelNode(const Node& node) { return node.kind == NodeKind::kAgent || node.kind == NodeKind::kPrompt; }

// ---- the whole graph

void CheckStartNode(const Input& in, DiagnosticList& out) {
  const std::size_t count = CountOfKind(in.graph, NodeKind::kStart);
  if (count == 1) return;
  out.Add(Rule::kStartNode, Subject::OfGraph(),
          count == 0 ? "Pipeline must have exactly one start node (shape=Mdiamond or id start/Start)"
                     : StrCat("Pipeline has ", count, " start nodes but must have exactly one"));
}

void CheckTerminalNode(const Input& in, DiagnosticList& out) {
  const std::size_t count = CountOfKind(in.graph, NodeKind::kExit);
  if (count == 1) return;
  std::string message = "Pipeline must have exactly one terminal node (shape=Msquare or id exit/end)";
  if (count > 1) message += StrCat(", found ", count);
  out.Add(Rule::kTerminalNode, Subject::OfGraph(), std::move(message));
}

// A node is reachable along edges and along the jumps of retry targets, which lead where no edge may.
void CheckReachability(const Input& in, DiagnosticList& out) {
  const Graph& graph = in.graph;
  std::vector<bool> seen(graph.nodes.size());
  std::vector<NodeIndex> open;
  const auto visit = [&](const Node* node) {
    if (!node || seen[node->index]) return;
    seen[node->index] = true;
    open.push_back(node->index);
  };
  for (const Node& node : graph.nodes) {
    if (node.kind == NodeKind::kStart) visit(&node);
  }
  if (open.empty()) return;
  visit(graph.FindNode(graph.retry_target));
  visit(graph.FindNode(graph.fallback_retry_target));
  while (!open.empty()) {
    const Node& node = graph.nodes[open.back()];
    open.pop_back();
    for (const EdgeIndex edge : node.out) visit(&graph.to(graph.edges[edge]));
    visit(graph.FindNode(node.retry_target));
    visit(graph.FindNode(node.fallback_retry_target));
  }
  for (const Node& node : graph.nodes) {
    if (!seen[node.index]) {
      out.Add(Rule::kReachability, Subject::Of(node),
              StrCat("Node '", node.id, "' is not reachable from the start node"));
    }
  }
}

void CheckGraphRetryTargets(const Input& in, DiagnosticList& out) {
  const Graph& graph = in.graph;
  for (const auto& [name, target] : {std::pair{"retry_target", &graph.retry_target},
                                     std::pair{"fallback_retry_target", &graph.fallback_retry_target}}) {
    if (target->empty() || graph.FindNode(*target)) continue;
    out.Add(Rule::kRetryTargetExists, Subject::OfGraph(),
            StrCat("Graph ", name, " '", Excerpt(*target), "' is not a node"));
  }
}

void CheckFanIn(const Input& in, DiagnosticList& out) {
  for (const NodeIndex index : ParallelNodesWithoutFanIn(in.graph)) {
    const Node& node = in.graph.nodes[index];
    out.Add(Rule::kFanInReachable, Subject::Of(node),
            StrCat("The branches of parallel node '", node.id, "' never meet in one fan-in node"));
  }
}

void CheckModels(const Input& in, DiagnosticList& out) {
  if (!in.options.is_known_model) return;
  const auto check = [&](std::string_view model, const Subject& subject, std::string_view owner) {
    if (model.empty() || in.options.is_known_model(model)) return;
    out.Add(Rule::kModelKnown, subject, StrCat(owner, " names an unknown model '", Excerpt(model), "'"));
  };
  check(in.graph.default_model, Subject::OfGraph(), "Graph default_model");
  for (const std::string& model : in.stylesheet.models())
    check(model, Subject::OfGraph(), "Model stylesheet");
  for (const Node& node : in.graph.nodes) {
    const auto model = node.attributes.find("model");
    if (model != node.attributes.end())
      check(model->second, Subject::Of(node), StrCat("Node '", node.id, "'"));
  }
}

void CheckStylesheetSelectors(const Input& in, DiagnosticList& out) {
  const std::vector<std::string> selectors = in.stylesheet.selectors();
  if (selectors.empty()) return;
  std::unordered_set<std::string_view> classes;
  for (const Node& node : in.graph.nodes) classes.insert(node.classes.begin(), node.classes.end());
  for (const std::string& selector : selectors) {
    const std::string_view name = std::string_view(selector).substr(1);
    const bool is_used = selector[0] == '.' ? classes.contains(name) : in.graph.FindNode(name) != nullptr;
    if (is_used) continue;
    out.Add(Rule::kUnusedClass, Subject::OfGraph(),
            StrCat("Model stylesheet selector '", Excerpt(selector), "' matches no node"));
  }
}

// ---- one node

void CheckStartNoIncoming(const Input&, const Node& node, DiagnosticList& out) {
  if (node.kind != NodeKind::kStart || node.in.empty()) return;
  out.Add(Rule::kStartNoIncoming, Subject::Of(node),
          StrCat("Start node '", node.id, "' has ", node.in.size(), " incoming edge(s) but must have none"));
}

void CheckExitNoOutgoing(const Input&, const Node& node, DiagnosticList& out) {
  if (node.kind != NodeKind::kExit || node.out.empty()) return;
  out.Add(Rule::kExitNoOutgoing, Subject::Of(node),
          StrCat("Exit node '", node.id, "' has ", node.out.size(), " outgoing edge(s) but must have none"));
}

void CheckRequired(const Input&, const Node& node, DiagnosticList& out) {
  if (node.kind == NodeKind::kCommand && Trim(node.script).empty()) {
    out.Add(Rule::kScriptRequired, Subject::Of(node), StrCat("Command node '", node.id, "' has no script"));
  }
  if (node.kind == NodeKind::kWait && !node.attributes.contains("duration")) {
    out.Add(Rule::kDurationRequired, Subject::Of(node), StrCat("Wait node '", node.id, "' has no duration"));
  }
  if (node.kind == NodeKind::kManagerLoop && node.child_workflow.empty() &&
      Trim(node.child_dot_source).empty()) {
    out.Add(Rule::kChildRequired, Subject::Of(node),
            StrCat("Node '", node.id, "' has neither stack.child_workflow nor stack.child_dot_source"));
  }
}

void CheckRetryTargets(const Input& in, const Node& node, DiagnosticList& out) {
  for (const auto& [name, target] : {std::pair{"retry_target", &node.retry_target},
                                     std::pair{"fallback_retry_target", &node.fallback_retry_target}}) {
    if (target->empty() || in.graph.FindNode(*target)) continue;
    out.Add(Rule::kRetryTargetExists, Subject::Of(node),
            StrCat("Node '", node.id, "' has ", name, " '", Excerpt(*target), "', which is not a node"));
  }
}

void CheckRandomSelection(const Input& in, const Node& node, DiagnosticList& out) {
  if (node.selection != Selection::kRandom) return;
  const auto has_condition = [&](EdgeIndex edge) { return !in.graph.edges[edge].condition_text.empty(); };
  if (std::none_of(node.out.begin(), node.out.end(), has_condition)) return;
  out.Add(
      Rule::kRandomWithoutConditions, Subject::Of(node),
      StrCat(
          "Node '", node.id,
          "' has selection=\"random\" but also has conditional edges; conditions are decided before chance"));
}

void CheckHuman(const Input& in, const Node& node, DiagnosticList& out) {
  if (node.kind != NodeKind::kHuman) return;
  if (node.out.empty()) {
    out.Add(Rule::kHumanHasChoices, Subject::Of(node),
            StrCat("Human node '", node.id, "' has no outgoing edges to choose from"));
    return;
  }
  const auto is_freeform = [&](EdgeIndex edge) { return in.graph.edges[edge].freeform; };
  const auto freeform = std::count_if(node.out.begin(), node.out.end(), is_freeform);
  if (freeform > 1) {
    out.Add(Rule::kHumanHasChoices, Subject::Of(node),
            StrCat("wait.human node '", node.id, "' has ", freeform,
                   " freeform edges but at most one is allowed"));
  }
  if (node.human_default_choice.empty() ||
      FindOption(HumanOptions(in.graph, node), node.human_default_choice))
    return;
  out.Add(Rule::kHumanHasChoices, Subject::Of(node),
          StrCat("Human node '", node.id, "' has human.default_choice '", Excerpt(node.human_default_choice),
                 "', which is none of its options"));
}

void CheckPrompt(const Input&, const Node& node, DiagnosticList& out) {
  const auto prompt = node.attributes.find("prompt");
  const bool has_prompt = prompt != node.attributes.end() && !Trim(prompt->second).empty();
  if (!IsModelNode(node) || has_prompt || node.has_label) return;
  out.Add(Rule::kPromptMissing, Subject::Of(node),
          StrCat("Node '", node.id, "' has neither a prompt nor a label; the model is given its id"));
}

void CheckGoalGate(const Input& in, const Node& node, DiagnosticList& out) {
  const Graph& graph = in.graph;
  if (!node.goal_gate || !node.retry_target.empty() || !node.fallback_retry_target.empty() ||
      !graph.retry_target.empty() || !graph.fallback_retry_target.empty()) {
    return;
  }
  out.Add(Rule::kGoalGateHasRetry, Subject::Of(node),
          StrCat("Node '", node.id, "' is a goal gate but there is no retry target for it"));
}

void CheckNodeThread(const Input& in, const Node& node, DiagnosticList& out) {
  if (node.thread_id.empty()) return;
  const auto fidelity = node.fidelity ? node.fidelity : in.graph.default_fidelity;
  if (fidelity == Fidelity::kFull) return;
  out.Add(Rule::kThreadNeedsFullFidelity, Subject::Of(node),
          StrCat("Node '", node.id, "' has a thread_id, which needs fidelity=full"));
}

void CheckConditional(const Input& in, const Node& node, DiagnosticList& out) {
  if (node.kind != NodeKind::kConditional) return;
  if (node.out.size() < 2) {
    out.Add(Rule::kConditionalEdges, Subject::Of(node),
            StrCat("Conditional node '", node.id, "' has fewer than two ways out"));
  }
  const auto has_condition = [&](EdgeIndex edge) { return !in.graph.edges[edge].condition_text.empty(); };
  if (node.out.empty() || !std::all_of(node.out.begin(), node.out.end(), has_condition)) return;
  out.Add(Rule::kConditionalEdges, Subject::Of(node),
          StrCat("Node '", node.id, "' has all conditional outgoing edges with no unconditional fallback"));
}

// ---- one edge

void CheckEdgeThread(const Input& in, const Edge& edge, DiagnosticList& out) {
  if (edge.thread_id.empty()) return;
  const Node& target = in.graph.to(edge);
  const auto fidelity = edge.fidelity     ? edge.fidelity
                        : target.fidelity ? target.fidelity
                                          : in.graph.default_fidelity;
  if (fidelity == Fidelity::kFull) return;
  const Subject subject = Subject::Of(in.graph, edge);
  out.Add(Rule::kThreadNeedsFullFidelity, subject,
          StrCat(Describe(subject), " has a thread_id, which needs fidelity=full"));
}

constexpr void (*kGraphChecks[])(const Input&, DiagnosticList&) = {
    CheckStartNode, CheckTerminalNode, CheckReachability,        CheckGraphRetryTargets,
    CheckFanIn,     CheckModels,       CheckStylesheetSelectors,
};
constexpr void (*kNodeChecks[])(const Input&, const Node&, DiagnosticList&) = {
    CheckStartNoIncoming, CheckExitNoOutgoing, CheckRequired, CheckRetryTargets, CheckRandomSelection,
    CheckHuman,           CheckPrompt,         CheckGoalGate, CheckNodeThread,   CheckConditional,
};

}  // namespace

void Validate(const Graph& graph, const Stylesheet& stylesheet, const LoadOptions& options,
              DiagnosticList& diagnostics) {
  const Input input{graph, stylesheet, options};
  for (const auto check : kGraphChecks) check(input, diagnostics);
  for (const Node& node : graph.nodes) {
    for (const auto check : kNodeChecks) check(input, node, diagnostics);
  }
  for (const Edge& edge : graph.edges) CheckEdgeThread(input, edge, diagnostics);
}

}  // namespace fabro::workflow
