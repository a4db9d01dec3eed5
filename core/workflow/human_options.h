// The question that a human node asks, derived from its edges alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/workflow/graph.h"

namespace fabro::workflow {

enum class QuestionType : std::uint8_t { kMultipleChoice, kYesNo, kMultiSelect, kFreeform };
std::string_view ToString(QuestionType type);  // "multiple_choice", "yes_no", "multi_select", "freeform"

// One way to answer.
struct HumanOption {
  std::string key;     // unique among the node's options, whatever the case
  std::string label;   // the edge's label, or its target's id
  std::string target;  // node id
  EdgeIndex edge = 0;
};

// A label without its accelerator, trimmed: "[A] Approve", "A) Approve" and "A - Approve" give "Approve".
std::string_view StripAccelerator(std::string_view label);
// "A" of the same labels; empty when there is none.
std::string_view AcceleratorOf(std::string_view label);
// The form in which labels are compared: stripped and lower case.
std::string NormalizeLabel(std::string_view label);

// The edges that are not freeform, in source order.
std::vector<HumanOption> HumanOptions(const Graph& graph, const Node& node);
// The option that `choice` names: by its target's id, else by key, else by label, the latter two whatever the
// case. Null when there is none.
const HumanOption* FindOption(const std::vector<HumanOption>& options, std::string_view choice);

QuestionType QuestionTypeOf(const Graph& graph, const Node& node);
bool AllowsFreeform(const Graph& graph, const Node& node);  // has options and a freeform edge

}  // namespace fabro::workflow
