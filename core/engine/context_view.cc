#include "core/engine/context_view.h"

#include <map>

#include "core/base/strings.h"
#include "core/engine/json_text.h"
#include "core/engine/preamble.h"

namespace fabro::engine {
namespace {

constexpr std::string_view kGraphPrefix = "graph.";
constexpr std::string_view kInternalPrefix = "internal.";
constexpr std::string_view kRetryCountPrefix = "internal.retry_count.";

}  // namespace

bool IsEngineKey(std::string_view key) {
  return key == "outcome" || key == "preferred_label" || key == "current_node" || key == "last_stage" ||
         key == "failure_class" || key == "failure_signature" || key.starts_with(kGraphPrefix) ||
         key.starts_with(kInternalPrefix);
}

std::string_view GoalOf(const RunSeed& seed) { return seed.goal.empty() ? seed.graph->goal : seed.goal; }

std::optional<workflow::ContextValue> ContextView::Find(std::string_view key) const {
  if (IsEngineKey(key)) {
    std::optional<std::string> text = FindEngineText(key);
    if (!text) return std::nullopt;
    return workflow::ContextValue{.text = *std::move(text), .items = std::nullopt};
  }
  const std::string* value = FindValue(state_, frame_, key);
  if (value == nullptr) return std::nullopt;
  return ValueOf(*value);
}

std::string_view ContextView::Fidelity() const {
  return workflow::ToString(FidelityOf(*seed_.graph, frame_));
}

std::string_view ContextView::ThreadId() const { return ThreadOf(*seed_.graph, frame_); }

std::optional<std::string> ContextView::FindEngineText(std::string_view key) const {
  const LastStage& last = LastOf(state_, frame_);
  if (key == "outcome") return std::string(last.node ? ToString(last.status) : "");
  if (key == "preferred_label") return last.preferred_label;
  if (key == "last_stage") return last.node ? seed_.graph->nodes[*last.node].id : std::string();
  if (key == "failure_class") {
    return std::string(last.failure ? ToString(last.failure->failure_class) : "");
  }
  if (key == "failure_signature") return last.failure_signature;
  if (key == "current_node") return current().id;
  if (key.starts_with(kGraphPrefix)) {
    key.remove_prefix(kGraphPrefix.size());
    if (key == "goal") return std::string(GoalOf(seed_));
    const auto found = seed_.graph->attributes.find(key);
    return found == seed_.graph->attributes.end() ? std::nullopt : std::optional(found->second);
  }
  if (key.starts_with(kRetryCountPrefix)) {
    const workflow::Node* node = seed_.graph->FindNode(key.substr(kRetryCountPrefix.size()));
    if (node == nullptr || state_.nodes[node->index].visits == 0) return std::nullopt;
    return std::to_string(state_.nodes[node->index].retries);
  }
  if (key == "internal.node_visit_count") return std::to_string(state_.nodes[frame_.cursor.node].visits);
  if (key == "internal.run_id") return seed_.id.ToString();
  if (key == "internal.work_dir") {
    const bool moved = state_.prepared && !state_.prepared->work_dir.empty();
    return moved ? state_.prepared->work_dir : seed_.work_dir;
  }
  if (key == "internal.fidelity") return std::string(Fidelity());
  if (key == "internal.thread_id") return std::string(ThreadId());
  return std::nullopt;
}

// What the stages wrote, the nearest course's first.
std::map<std::string_view, std::string_view> ContextView::Written() const {
  std::map<std::string_view, std::string_view> values;
  for (const Frame* at = &frame_;; at = &state_.frames.at(at->parent)) {
    values.insert(at->context.begin(), at->context.end());
    if (at->number == 0) return values;
  }
}

std::string ContextView::Json() const {
  std::map<std::string, std::string, std::less<>> all;  // owns what is rendered; views suffice for the rest
  for (const std::string_view key :
       {"current_node", "failure_class", "failure_signature", "graph.goal", "internal.fidelity",
        "internal.run_id", "internal.work_dir", "last_stage", "outcome", "preferred_label"}) {
    all.emplace(key, JsonString(*FindEngineText(key)));
  }
  all.emplace("internal.node_visit_count", std::to_string(state_.nodes[frame_.cursor.node].visits));
  all.emplace("internal.thread_id", ThreadId().empty() ? "null" : JsonString(ThreadId()));
  for (const auto& [name, value] : seed_.graph->attributes) {
    all.emplace(StrCat(kGraphPrefix, name), JsonString(value));
  }
  for (const workflow::Node& node : seed_.graph->nodes) {
    const NodeState& visited = state_.nodes[node.index];
    if (visited.visits > 0) all.emplace(StrCat(kRetryCountPrefix, node.id), std::to_string(visited.retries));
  }
  std::string out = "{";
  const auto append = [&out](std::string_view key, std::string_view value) {
    if (value.empty()) return;  // removed in a branch
    if (out.size() > 1) out += ',';
    AppendJsonString(out, key);
    out += ':';
    out += value;
  };
  const std::map<std::string_view, std::string_view> values = Written();
  auto written = values.begin();
  for (const auto& [key, value] : all) {
    for (; written != values.end() && written->first < key; ++written)
      append(written->first, written->second);
    append(key, value);
  }
  for (; written != values.end(); ++written) append(written->first, written->second);
  out += '}';
  return out;
}

}  // namespace fabro::engine
