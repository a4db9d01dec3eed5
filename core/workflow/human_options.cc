#include "core/workflow/human_options.h"

#include <algorithm>
#include <unordered_set>

#include "core/base/strings.h"
#include "core/workflow/characters.h"

namespace fabro::workflow {
namespace {

constexpr std::size_t kMaxAcceleratorBytes = 8;

bool IsAlnum(char c) { return IsLetter(c) || IsDigit(c); }

struct LabelParts {
  std::string_view accelerator;
  std::string_view rest;
};

// "[A] Approve", "A) Approve" and "A - Approve". A label that is all accelerator has none.
LabelParts SplitLabel(std::string_view label) {
  label = Trim(label);
  LabelParts parts{{}, label};
  std::string_view after;
  if (label.starts_with('[')) {
    const std::size_t close = label.find(']');
    if (close == std::string_view::npos) return parts;
    const std::string_view key = label.substr(1, close - 1);
    if (key.empty() || key.size() > kMaxAcceleratorBytes || !std::all_of(key.begin(), key.end(), IsAlnum))
      return parts;
    parts.accelerator = key;
    after = label.substr(close + 1);
  } else if (label.size() > 2 && IsAlnum(label[0])) {
    if (label[1] == ')') {
      after = label.substr(2);
    } else if (label.substr(1).starts_with(" - ")) {
      after = label.substr(4);
    }
    if (!after.empty()) parts.accelerator = label.substr(0, 1);
  }
  after = Trim(after);
  if (after.empty()) return {{}, label};
  parts.rest = after;
  return parts;
}

bool IsFreeform(const Graph& graph, EdgeIndex edge) { return graph.edges[edge].freeform; }

// Hands out keys, none twice whatever the case.
class KeyMaker {
 public:
  bool Claim(std::string_view key) { return taken_.insert(ToLower(key)).second; }

  // The label's first free character as written; blanks and punctuation are no keys. Then 1, 2, 3 ...
  std::string Make(std::string_view label) {
    while (!label.empty()) {
      const std::string_view character = TruncateUtf8(label, 1);
      const bool is_key = IsAlnum(character[0]) || static_cast<unsigned char>(character[0]) >= 0x80;
      if (is_key && Claim(character)) return std::string(character);
      label.remove_prefix(character.size());
    }
    std::string key;
    do {
      key = std::to_string(next_number_++);
    } while (!Claim(key));
    return key;
  }

 private:
  std::unordered_set<std::string> taken_;
  int next_number_ = 1;
};

}  // namespace

std::string_view ToString(QuestionType type) {
  switch (type) {
    case QuestionType::kMultipleChoice:
      return "multiple_choice";
    case QuestionType::kYesNo:
      return "yes_no";
    case QuestionType::kMultiSelect:
      return "multi_select";
    case QuestionType::kFreeform:
      return "freeform";
  }
  return "";
}

std::string_view StripAccelerator(std::string_view label) { return SplitLabel(label).rest; }
std::string_view AcceleratorOf(std::string_view label) { return SplitLabel(label).accelerator; }
std::string NormalizeLabel(std::string_view label) { return ToLower(StripAccelerator(label)); }

std::vector<HumanOption> HumanOptions(const Graph& graph, const Node& node) {
  std::vector<HumanOption> options;
  KeyMaker keys;
  for (const EdgeIndex index : node.out) {
    if (IsFreeform(graph, index)) continue;
    const Edge& edge = graph.edges[index];
    HumanOption option;
    option.target = graph.nodes[edge.to].id;
    option.label = Trim(edge.label).empty() ? option.target : edge.label;
    option.edge = index;
    // All accelerators come before any made key: who reads "[A] Abort" and types A must not get another
    // option.
    const std::string_view accelerator = AcceleratorOf(option.label);
    if (!accelerator.empty() && keys.Claim(accelerator)) option.key = accelerator;
    options.push_back(std::move(option));
  }
  for (HumanOption& option : options) {
    if (option.key.empty()) option.key = keys.Make(StripAccelerator(option.label));
  }
  return options;
}

const HumanOption* FindOption(const std::vector<HumanOption>& options, std::string_view choice) {
  const auto first = [&](auto matches) -> const HumanOption* {
    const auto found = std::find_if(options.begin(), options.end(), matches);
    return found == options.end() ? nullptr : &*found;
  };
  if (const HumanOption* found = first([&](const HumanOption& o) { return o.target == choice; }))
    return found;
  if (const HumanOption* found = first([&](const HumanOption& o) { return EqualsIgnoreCase(o.key, choice); }))
    return found;
  const std::string label = NormalizeLabel(choice);
  return first([&](const HumanOption& o) { return NormalizeLabel(o.label) == label; });
}

QuestionType QuestionTypeOf(const Graph& graph, const Node& node) {
  const std::vector<HumanOption> options = HumanOptions(graph, node);
  if (options.empty()) return QuestionType::kFreeform;
  if (node.human_multi_select) return QuestionType::kMultiSelect;
  if (options.size() == 2) {
    const std::string first = NormalizeLabel(options[0].label);
    const std::string second = NormalizeLabel(options[1].label);
    if ((first == "yes" && second == "no") || (first == "no" && second == "yes")) return QuestionType::kYesNo;
  }
  return QuestionType::kMultipleChoice;
}

bool AllowsFreeform(const Graph& graph, const Node& node) {
  const auto freeform = [&](EdgeIndex edge) { return IsFreeform(graph, edge); };
  return std::any_of(node.out.begin(), node.out.end(), freeform) &&
         !std::all_of(node.out.begin(), node.out.end(), freeform);
}

}  // namespace fabro::workflow
