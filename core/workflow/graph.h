// A workflow as the engine sees it: every attribute typed and defaulted, every reference resolved to an
// index.
//
// A Graph comes from LoadWorkflow (load.h) only, is never changed afterwards, and is shared as
// std::shared_ptr<const Graph> by the run and its stages; everything in it may be read from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/workflow/condition.h"
#include "core/workflow/kinds.h"

namespace fabro::workflow {

using NodeIndex = std::uint32_t;
using EdgeIndex = std::uint32_t;

// Attributes as they were written, by their name in the source, after defaults and merging; a quoted value
// without its quotes. For the `graph.NAME` context keys, the API and rendering; the engine reads the typed
// fields.
using RawAttributes = std::map<std::string, std::string, std::less<>>;

struct SourcePosition {
  int line = 0;    // from 1; 0 is unknown
  int column = 0;  // from 1, in bytes
};

struct Node {
  NodeIndex index = 0;
  std::string id;
  NodeKind kind = NodeKind::kAgent;
  std::string shape;                 // as written; empty when not
  std::string label;                 // the id when the source gives none
  bool has_label = false;            // the source gives one
  std::vector<std::string> classes;  // from `class` and from the subgraphs around it, without repeats
  SourcePosition position;           // where the id first stands
  RawAttributes attributes;
  std::vector<EdgeIndex> out;  // edges from this node, in source order
  std::vector<EdgeIndex> in;   // edges to it, in source order

  // Any kind. An empty string is "not set" here and below.
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<int>
      max_visits;  // how often the node may execute; not set: the graph's max_node_visits; 0 no limit
  std::optional<int> max_retries;  // attempts after the first; not set: the graph's default_max_retries
  std::optional<RetryPolicy> retry_policy;  // wins over max_retries
  std::string retry_target;                 // a node id that exists
  std::string fallback_retry_target;
  bool goal_gate = false;
  bool auto_status = false;
  bool allow_partial = false;
  Selection selection = Selection::kDeterministic;

  // Agent and prompt; model, provider, effort, tokens and backend after the stylesheet and the graph's
  // defaults.
  std::string prompt;  // the label when not set; `$goal` still in it
  std::string model;
  std::string provider;
  std::optional<ReasoningEffort> reasoning_effort;
  std::optional<int> max_tokens;
  std::optional<Backend> backend;
  std::optional<Fidelity> fidelity;  // not set: the edge's, else the graph's default_fidelity
  std::string thread_id;
  bool project_memory = true;

  // Command.
  std::string script;  // `$goal` still in it
  Language language = Language::kShell;

  // Human.
  std::string human_default_choice;  // a target id or an option's key
  bool human_multi_select = false;

  // Parallel.
  JoinPolicy join_policy = JoinPolicy::kWaitAll;
  int max_parallel = 4;
  NodeIndex join = 0;  // where the branches end and the run goes on (join.h)

  // Wait.
  std::chrono::milliseconds duration{0};

  // Child workflow.
  std::string child_workflow;    // a path inside the workflow folders
  std::string child_dot_source;  // or the source itself
  std::chrono::milliseconds manager_poll_interval{std::chrono::seconds(45)};
  int manager_max_cycles = 1000;
  std::optional<Condition> manager_stop_condition;
};

struct Edge {
  EdgeIndex index = 0;
  NodeIndex from = 0;
  NodeIndex to = 0;
  std::string label;
  std::string condition_text;          // as written, trimmed; empty: no condition
  std::optional<Condition> condition;  // set exactly when condition_text is not empty
  double weight = 0;
  std::optional<Fidelity> fidelity;
  std::string thread_id;
  bool loop_restart = false;
  bool freeform = false;
  SourcePosition position;  // where the target's id stands
  RawAttributes attributes;

  bool is_conditional() const { return condition.has_value(); }
};

// The edge says how much its target is told of the run, or in which conversation.
inline bool TellsTarget(const Edge& edge) { return edge.fidelity || !edge.thread_id.empty(); }

struct Graph {
  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  std::string name;  // empty when the source gives none
  RawAttributes attributes;

  std::string goal;
  std::string label;
  std::string rankdir;
  std::string model_stylesheet;
  int default_max_retries = 0;
  std::string retry_target;
  std::string fallback_retry_target;
  std::optional<Fidelity> default_fidelity;
  std::string default_thread;
  std::string default_model;
  std::string default_provider;
  int max_node_visits = 0;                                              // 0: no limit
  std::chrono::milliseconds stall_timeout{std::chrono::seconds(1800)};  // 0: off
  int loop_restart_signature_limit = 3;

  std::vector<Node> nodes;  // in the order in which the source first names them
  std::vector<Edge> edges;  // in source order
  NodeIndex start = 0;
  NodeIndex exit = 0;

  const Node* FindNode(std::string_view id) const;  // null when there is none
  const Node& from(const Edge& edge) const { return nodes[edge.from]; }
  const Node& to(const Edge& edge) const { return nodes[edge.to]; }

  // Keys are views of the ids in `nodes`: that is why a graph moves but is not copied.
  std::unordered_map<std::string_view, NodeIndex> by_id;
};

}  // namespace fabro::workflow
