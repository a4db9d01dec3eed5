// Whether an answer fits its question, and which options it chooses.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/engine/input.h"
#include "core/workflow/graph.h"
#include "core/workflow/human_options.h"

namespace fabro::engine {

struct Choice {
  std::vector<workflow::HumanOption> selected;  // in source order; empty: free text
  std::string text;                             // the free text
};

// InvalidArgument, with the text of the 400 answer, when the answer chooses nothing at all.
absl::Status CheckAnswerGiven(const Answer& answer);

// Never guesses: InvalidArgument for an unknown key, several keys for a single choice, and free text that is
// no key and no label where the node has no freeform edge.
absl::StatusOr<Choice> MatchAnswer(const workflow::Graph& graph, const workflow::Node& node,
                                   const Answer& answer);

// The choice that human.default_choice names, by target or by key; nothing selected when it names none.
Choice DefaultChoice(const workflow::Graph& graph, const workflow::Node& node);

// What the answer does: label, suggestion and the human.gate.* keys. `by` is empty for a default choice.
Outcome OutcomeOf(const workflow::Graph& graph, const workflow::Node& node, const Choice& choice,
                  std::string_view by);

// As InterviewCompleted tells it.
std::string DescribeChoice(const Choice& choice);

}  // namespace fabro::engine
