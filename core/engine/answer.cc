#include "core/engine/answer.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::engine {
namespace {

using workflow::HumanOption;
using workflow::QuestionType;

absl::Status InvalidKey(std::string_view key) {
  return InvalidArgument(Reason::kOptionInvalid, key, "Invalid option key.");
}

const HumanOption* FindByKey(const std::vector<HumanOption>& options, std::string_view key) {
  const auto found =
      std::ranges::find_if(options, [key](const HumanOption& o) { return EqualsIgnoreCase(o.key, key); });
  return found == options.end() ? nullptr : &*found;
}

// A key wins over a label, a whole label over one without its accelerator.
const HumanOption* FindByValue(const std::vector<HumanOption>& options, std::string_view value) {
  const std::string_view wanted = Trim(value);
  if (wanted.empty()) return nullptr;
  if (const HumanOption* option = FindByKey(options, wanted)) return option;
  for (const HumanOption& option : options) {
    if (EqualsIgnoreCase(Trim(option.label), wanted)) return &option;
  }
  for (const HumanOption& option : options) {
    if (EqualsIgnoreCase(workflow::StripAccelerator(option.label), wanted)) return &option;
  }
  return nullptr;
}

absl::StatusOr<Choice> MatchKeys(const std::vector<HumanOption>& options, bool several,
                                 const std::vector<std::string>& keys) {
  std::vector<bool> chosen(options.size());
  for (const std::string& key : keys) {
    const HumanOption* option = FindByKey(options, key);
    if (option == nullptr) return InvalidKey(key);
    chosen[static_cast<std::size_t>(option - options.data())] = true;
  }
  Choice choice;
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (chosen[i]) choice.selected.push_back(options[i]);
  }
  if (choice.selected.size() > 1 && !several) {
    return InvalidArgument(Reason::kOptionInvalid, keys.front(), "The question takes one option only.");
  }
  return choice;
}

bool HasFreeformEdge(const workflow::Graph& graph, const workflow::Node& node) {
  return std::ranges::any_of(node.out,
                             [&graph](workflow::EdgeIndex edge) { return graph.edges[edge].freeform; });
}

}  // namespace

absl::Status CheckAnswerGiven(const Answer& answer) {
  if (answer.selected_option_key || !answer.selected_option_keys.empty() || answer.value) {
    return absl::OkStatus();
  }
  return InvalidArgument(Reason::kInvalidArgument, answer.question_id,
                         "One of value, selected_option_key, or selected_option_keys is required.");
}

absl::StatusOr<Choice> MatchAnswer(const workflow::Graph& graph, const workflow::Node& node,
                                   const Answer& answer) {
  FABRO_RETURN_IF_ERROR(CheckAnswerGiven(answer));
  const std::vector<HumanOption> options = workflow::HumanOptions(graph, node);
  const bool several = workflow::QuestionTypeOf(graph, node) == QuestionType::kMultiSelect;
  if (answer.selected_option_key) return MatchKeys(options, several, {*answer.selected_option_key});
  if (!answer.selected_option_keys.empty()) return MatchKeys(options, several, answer.selected_option_keys);
  if (const HumanOption* option = FindByValue(options, *answer.value)) return Choice{{*option}, ""};
  if (HasFreeformEdge(graph, node)) return Choice{{}, *answer.value};
  return InvalidArgument(Reason::kOptionInvalid, answer.question_id,
                         "The value matches no option, and the question takes no free text.");
}

Choice DefaultChoice(const workflow::Graph& graph, const workflow::Node& node) {
  Choice choice;
  if (node.human_default_choice.empty()) return choice;
  const std::vector<HumanOption> options = workflow::HumanOptions(graph, node);
  const auto by_target = std::ranges::find(options, node.human_default_choice, &HumanOption::target);
  if (by_target != options.end()) {
    choice.selected.push_back(*by_target);
  } else if (const HumanOption* option = FindByKey(options, node.human_default_choice)) {
    choice.selected.push_back(*option);
  }
  return choice;
}

Outcome OutcomeOf(const workflow::Graph& graph, const workflow::Node& node, const Choice& choice,
                  std::string_view by) {
  Outcome outcome;
  auto& updates = outcome.context_updates;
  updates["human.gate.by"] = JsonString(by);
  if (choice.selected.empty()) {
    for (const workflow::EdgeIndex index : node.out) {
      const workflow::Edge& edge = graph.edges[index];
      if (!edge.freeform) continue;
      outcome.suggested_next_ids.push_back(graph.to(edge).id);
      break;
    }
    updates["human.gate.selected"] = JsonString("freeform");
    updates["human.gate.label"] = JsonString(choice.text);
    updates["human.gate.text"] = JsonString(choice.text);
    return outcome;
  }
  const HumanOption& first = choice.selected.front();
  outcome.preferred_label = first.label;
  outcome.suggested_next_ids.push_back(first.target);
  updates["human.gate.label"] = JsonString(first.label);
  if (workflow::QuestionTypeOf(graph, node) != QuestionType::kMultiSelect) {
    updates["human.gate.selected"] = JsonString(first.key);
    return outcome;
  }
  std::string keys = "[";
  for (const HumanOption& option : choice.selected) {
    if (keys.size() > 1) keys += ',';
    AppendJsonString(keys, option.key);
  }
  updates["human.gate.selected"] = keys + "]";
  return outcome;
}

std::string DescribeChoice(const Choice& choice) {
  if (choice.selected.empty()) return choice.text;
  std::vector<std::string> labels;
  labels.reserve(choice.selected.size());
  for (const HumanOption& option : choice.selected) labels.push_back(option.label);
  return Join(labels, ", ");
}

}  // namespace fabro::engine
