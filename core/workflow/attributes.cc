#include "core/workflow/attributes.h"

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "core/base/strings.h"

namespace fabro::workflow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMaxDuration = std::chrono::hours(24 * 3653);
constexpr int kMaxCount = 1'000'000'000;

// Setters: false leaves the field as it was.
template <typename T>
using Setter = bool (*)(T&, std::string_view);

template <typename Member>
struct MemberOf;
template <typename Object, typename Field>
struct MemberOf<Field Object::*> {
  using Class = Object;
};
template <auto kMember>
using ClassOf = typename MemberOf<decltype(kMember)>::Class;

template <auto kMember>
bool SetText(ClassOf<kMember>& to, std::string_view value) {
  to.*kMember = std::string(value);
  return true;
}

template <auto kMember>
bool SetBool(ClassOf<kMember>& to, std::string_view value) {
  if (value != "true" && value != "false") return false;
  to.*kMember = value == "true";
  return true;
}

template <auto kMember, int kMin>
bool SetCount(ClassOf<kMember>& to, std::string_view value) {
  const std::optional<long long> number = ParseInt(value);
  if (!number || *number < kMin || *number > kMaxCount) return false;
  to.*kMember = static_cast<int>(*number);
  return true;
}

template <auto kMember>
bool SetNumber(ClassOf<kMember>& to, std::string_view value) {
  const std::optional<double> number = ParseDouble(value);
  if (!number) return false;
  to.*kMember = *number;
  return true;
}

template <auto kMember>
bool SetDuration(ClassOf<kMember>& to, std::string_view value) {
  const std::optional<milliseconds> duration = ParseDuration(value);
  if (!duration) return false;
  to.*kMember = *duration;
  return true;
}

template <auto kMember>
bool SetPositiveDuration(ClassOf<kMember>& to, std::string_view value) {
  return ParseDuration(value).value_or(milliseconds(0)) > milliseconds(0) && SetDuration<kMember>(to, value);
}

template <auto kMember, auto kParse>
bool SetWord(ClassOf<kMember>& to, std::string_view value) {
  const auto word = kParse(value);
  if (!word) return false;
  to.*kMember = *word;
  return true;
}

// Read by build.cc, which needs more than the value: the kind, conditions, classes.
template <typename T>
bool SetElsewhere(T&, std::string_view) {
  return true;
}

template <typename T>
struct AttributeDef {
  std::string_view name;
  Setter<T> set;
  std::string_view expected = "";  // of setters that can refuse
  Rule rule = Rule::kAttributeType;
};

struct Alias {
  std::string_view name;
  std::string_view stands_for;
};

constexpr std::string_view kBool = "true or false";
constexpr std::string_view kCount = "a whole number from 0 to 1000000000";
constexpr std::string_view kPositive = "a whole number from 1 to 1000000000";
constexpr std::string_view kNumber = "a number";
constexpr std::string_view kDuration = "a duration such as 30s, up to ten years";
constexpr std::string_view kPositiveDuration = "a duration over zero such as 30s, up to ten years";
constexpr std::string_view kFidelity = "full, compact, summary:high, summary:medium, summary:low or truncate";

constexpr std::array kGraphAttributes = std::to_array<AttributeDef<Graph>>({
    {"goal", SetText<&Graph::goal>},
    {"label", SetText<&Graph::label>},
    {"rankdir", SetText<&Graph::rankdir>},
    {"model_stylesheet", SetText<&Graph::model_stylesheet>},
    {"default_max_retries", SetCount<&Graph::default_max_retries, 0>, kCount},
    {"retry_target", SetText<&Graph::retry_target>},
    {"fallback_retry_target", SetText<&Graph::fallback_retry_target>},
    {"default_fidelity", SetWord<&Graph::default_fidelity, ParseFidelity>, kFidelity, Rule::kFidelityValid},
    {"default_thread", SetText<&Graph::default_thread>},
    {"default_model", SetText<&Graph::default_model>},
    {"default_provider", SetText<&Graph::default_provider>},
    {"max_node_visits", SetCount<&Graph::max_node_visits, 0>, kCount},
    {"stall_timeout", SetDuration<&Graph::stall_timeout>, kDuration},
    {"loop_restart_signature_limit", SetCount<&Graph::loop_restart_signature_limit, 1>, kPositive},
});

constexpr std::array kNodeAttributes = std::to_array<AttributeDef<Node>>({
    {"label", SetText<&Node::label>},
    {"shape", SetText<&Node::shape>},
    {"type", SetElsewhere<Node>},
    {"class", SetElsewhere<Node>},
    {"timeout", SetPositiveDuration<&Node::timeout>, kPositiveDuration},
    {"max_visits", SetCount<&Node::max_visits, 0>, kCount},
    {"max_retries", SetCount<&Node::max_retries, 0>, kCount},
    {"retry_policy", SetWord<&Node::retry_policy, ParseRetryPolicy>,
     "none, standard, aggressive, linear or patient"},
    {"retry_target", SetText<&Node::retry_target>},
    {"fallback_retry_target", SetText<&Node::fallback_retry_target>},
    {"goal_gate", SetBool<&Node::goal_gate>, kBool},
    {"auto_status", SetBool<&Node::auto_status>, kBool},
    {"allow_partial", SetBool<&Node::allow_partial>, kBool},
    {"selection", SetWord<&Node::selection, ParseSelection>, "deterministic or random"},
    {"prompt", SetText<&Node::prompt>},
    {"model", SetText<&Node::model>},
    {"provider", SetText<&Node::provider>},
    {"reasoning_effort", SetWord<&Node::reasoning_effort, ParseReasoningEffort>, "low, medium or high"},
    {"max_tokens", SetCount<&Node::max_tokens, 1>, kPositive},
    {"fidelity", SetWord<&Node::fidelity, ParseFidelity>, kFidelity, Rule::kFidelityValid},
    {"thread_id", SetText<&Node::thread_id>},
    {"project_memory", SetBool<&Node::project_memory>, kBool},
    {"backend", SetWord<&Node::backend, ParseBackend>, "api"},
    {"script", SetText<&Node::script>},
    {"language", SetWord<&Node::language, ParseLanguage>, "shell or python", Rule::kLanguageValid},
    {"human.default_choice", SetText<&Node::human_default_choice>},
    {"human.multi_select", SetBool<&Node::human_multi_select>, kBool},
    {"join_policy", SetWord<&Node::join_policy, ParseJoinPolicy>, "wait_all or first_success",
     Rule::kJoinPolicyValid},
    {"max_parallel", SetCount<&Node::max_parallel, 1>, kPositive},
    {"duration", SetDuration<&Node::duration>, kDuration},
    {"stack.child_workflow", SetText<&Node::child_workflow>},
    {"stack.child_dot_source", SetText<&Node::child_dot_source>},
    {"manager.poll_interval", SetPositiveDuration<&Node::manager_poll_interval>, kPositiveDuration},
    {"manager.max_cycles", SetCount<&Node::manager_max_cycles, 1>, kPositive},
    {"manager.stop_condition", SetElsewhere<Node>},
});

constexpr std::array kEdgeAttributes = std::to_array<AttributeDef<Edge>>({
    {"label", SetText<&Edge::label>},
    {"condition", SetElsewhere<Edge>},
    {"weight", SetNumber<&Edge::weight>, kNumber},
    {"fidelity", SetWord<&Edge::fidelity, ParseFidelity>, kFidelity, Rule::kFidelityValid},
    {"thread_id", SetText<&Edge::thread_id>},
    {"loop_restart", SetBool<&Edge::loop_restart>, kBool},
    {"freeform", SetBool<&Edge::freeform>, kBool},
});

constexpr std::array kNodeAliases = std::to_array<Alias>({
    {"llm_model", "model"},
    {"llm_provider", "provider"},
    {"tool_command", "script"},
    {"stack.child_dotfile", "stack.child_workflow"},
});

// Graphviz's own, which change how the graph is drawn and nothing else. Some belong to one scope only; taking
// them in all three costs a missed warning at most.
constexpr std::array kDrawing = std::to_array<std::string_view>({
    "URL",
    "arrowhead",
    "arrowsize",
    "arrowtail",
    "bgcolor",
    "center",
    "color",
    "colorscheme",
    "compound",
    "constraint",
    "concentrate",
    "dir",
    "dpi",
    "fillcolor",
    "fixedsize",
    "fontcolor",
    "fontname",
    "fontsize",
    "gradientangle",
    "group",
    "headlabel",
    "headport",
    "height",
    "href",
    "id",
    "labeldistance",
    "labelfontcolor",
    "labelfontsize",
    "labeljust",
    "labelloc",
    "len",
    "lhead",
    "ltail",
    "margin",
    "minlen",
    "newrank",
    "nodesep",
    "ordering",
    "orientation",
    "overlap",
    "pad",
    "pencolor",
    "penwidth",
    "peripheries",
    "pos",
    "rank",
    "rankdir",
    "ranksep",
    "ratio",
    "rotate",
    "samehead",
    "sametail",
    "sides",
    "size",
    "splines",
    "style",
    "taillabel",
    "tailport",
    "target",
    "tooltip",
    "width",
    "xlabel",
});

template <typename T>
constexpr std::span<const AttributeDef<T>> DefsOf() {
  if constexpr (std::is_same_v<T, Graph>) {
    return kGraphAttributes;
  } else if constexpr (std::is_same_v<T, Node>) {
    return kNodeAttributes;
  } else {
    return kEdgeAttributes;
  }
}

template <typename T>
const AttributeDef<T>* FindDef(std::string_view name) {
  static const auto* const index = [] {
    auto* made =
        new std::unordered_map<std::string_view, const AttributeDef<T>*>;  // lives for the whole program
    for (const AttributeDef<T>& def : DefsOf<T>()) made->emplace(def.name, &def);
    return made;
  }();
  const auto found = index->find(name);
  return found == index->end() ? nullptr : found->second;
}

template <typename T>
std::optional<BadValue> Set(T& to, std::string_view name, std::string_view value) {
  const AttributeDef<T>* const def = FindDef<T>(name);
  if (!def || def->set(to, value)) return std::nullopt;
  return BadValue{def->rule, def->expected};
}

}  // namespace

std::string_view CanonicalName(AttributeScope scope, std::string_view name) {
  if (scope != kNodeScope) return name;
  for (const Alias& alias : kNodeAliases) {
    if (alias.name == name) return alias.stands_for;
  }
  return name;
}

bool IsLanguageAttribute(AttributeScope scope, std::string_view canonical_name) {
  switch (scope) {
    case kGraphScope:
      return FindDef<Graph>(canonical_name) != nullptr;
    case kNodeScope:
      return FindDef<Node>(canonical_name) != nullptr;
    case kEdgeScope:
      return FindDef<Edge>(canonical_name) != nullptr;
  }
  return false;
}

bool IsDrawingAttribute(std::string_view name) {
  return std::find(kDrawing.begin(), kDrawing.end(), name) != kDrawing.end();
}

std::vector<std::string> AttributeNames(AttributeScope scope) {
  std::vector<std::string> names;
  const auto add = [&](const auto& defs) {
    for (const auto& def : defs) names.emplace_back(def.name);
  };
  switch (scope) {
    case kGraphScope:
      add(kGraphAttributes);
      break;
    case kNodeScope:
      add(kNodeAttributes);
      add(kNodeAliases);
      break;
    case kEdgeScope:
      add(kEdgeAttributes);
      break;
  }
  return names;
}

std::optional<BadValue> SetAttribute(Graph& graph, std::string_view name, std::string_view value) {
  return Set(graph, name, value);
}
std::optional<BadValue> SetAttribute(Node& node, std::string_view name, std::string_view value) {
  return Set(node, name, value);
}
std::optional<BadValue> SetAttribute(Edge& edge, std::string_view name, std::string_view value) {
  return Set(edge, name, value);
}

std::optional<milliseconds> ParseDuration(std::string_view text) {
  struct Unit {
    std::string_view suffix;
    milliseconds length;
  };
  // "ms" comes before the "s" it ends with.
  constexpr std::array<Unit, 5> kUnits{{{"ms", milliseconds(1)},
                                        {"s", std::chrono::seconds(1)},
                                        {"m", std::chrono::minutes(1)},
                                        {"h", std::chrono::hours(1)},
                                        {"d", std::chrono::hours(24)}}};
  milliseconds length = std::chrono::seconds(1);
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.suffix)) continue;
    text.remove_suffix(unit.suffix.size());
    length = unit.length;
    break;
  }
  const std::optional<long long> count = ParseInt(text);
  if (!count || *count < 0 || *count > kMaxDuration / length) return std::nullopt;
  return *count * length;
}

}  // namespace fabro::workflow
