#include "core/workflow/kinds.h"

#include <array>
#include <span>

namespace fabro::workflow {
namespace {

template <typename T>
struct Word {
  std::string_view text;
  T value;
};

// The first word of a value is its canonical text, later ones are aliases.
template <typename T>
std::string_view TextOf(std::span<const Word<T>> words, T value) {
  for (const Word<T>& word : words) {
    if (word.value == value) return word.text;
  }
  return "";
}

template <typename T>
std::optional<T> ValueOf(std::span<const Word<T>> words, std::string_view text) {
  for (const Word<T>& word : words) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}

constexpr std::array<Word<NodeKind>, 18> kNodeKinds{{
    {"start", NodeKind::kStart},
    {"exit", NodeKind::kExit},
    {"agent", NodeKind::kAgent},
    {"codergen", NodeKind::kAgent},
    {"agent_loop", NodeKind::kAgent},
    {"prompt", NodeKind::kPrompt},
    {"one_shot", NodeKind::kPrompt},
    {"command", NodeKind::kCommand},
    {"tool", NodeKind::kCommand},
    {"script", NodeKind::kCommand},
    {"human", NodeKind::kHuman},
    {"wait.human", NodeKind::kHuman},
    {"conditional", NodeKind::kConditional},
    {"parallel", NodeKind::kParallel},
    {"parallel.fan_in", NodeKind::kFanIn},
    {"wait", NodeKind::kWait},
    {"wait.timer", NodeKind::kWait},
    {"stack.manager_loop", NodeKind::kManagerLoop},
}};

constexpr std::array<Word<NodeKind>, 11> kShapes{{
    {"Mdiamond", NodeKind::kStart},
    {"Msquare", NodeKind::kExit},
    {"box", NodeKind::kAgent},
    {"tab", NodeKind::kPrompt},
    {"parallelogram", NodeKind::kCommand},
    {"hexagon", NodeKind::kHuman},
    {"diamond", NodeKind::kConditional},
    {"component", NodeKind::kParallel},
    {"tripleoctagon", NodeKind::kFanIn},
    {"insulator", NodeKind::kWait},
    {"house", NodeKind::kManagerLoop},
}};

constexpr std::array<Word<RetryPolicy>, 5> kRetryPolicies{{
    {"none", RetryPolicy::kNone},
    {"standard", RetryPolicy::kStandard},
    {"aggressive", RetryPolicy::kAggressive},
    {"linear", RetryPolicy::kLinear},
    {"patient", RetryPolicy::kPatient},
}};

constexpr std::array<Word<Selection>, 2> kSelections{{
    {"deterministic", Selection::kDeterministic},
    {"random", Selection::kRandom},
}};

constexpr std::array<Word<Language>, 2> kLanguages{{
    {"shell", Language::kShell},
    {"python", Language::kPython},
}};

constexpr std::array<Word<JoinPolicy>, 2> kJoinPolicies{{
    {"wait_all", JoinPolicy::kWaitAll},
    {"first_success", JoinPolicy::kFirstSuccess},
}};

constexpr std::array<Word<ReasoningEffort>, 3> kEfforts{{
    {"low", ReasoningEffort::kLow},
    {"medium", ReasoningEffort::kMedium},
    {"high", ReasoningEffort::kHigh},
}};

constexpr std::array<Word<Backend>, 1> kBackends{{{"api", Backend::kApi}}};

constexpr std::array<Word<Fidelity>, 6> kFidelities{{
    {"full", Fidelity::kFull},
    {"compact", Fidelity::kCompact},
    {"summary:high", Fidelity::kSummaryHigh},
    {"summary:medium", Fidelity::kSummaryMedium},
    {"summary:low", Fidelity::kSummaryLow},
    {"truncate", Fidelity::kTruncate},
}};

}  // namespace

#define FABRO_WORDS(Type, Words)                                               \
  std::string_view ToString(Type value) { return TextOf<Type>(Words, value); } \
  std::optional<Type> Parse##Type(std::string_view text) { return ValueOf<Type>(Words, text); }

FABRO_WORDS(NodeKind, kNodeKinds)
FABRO_WORDS(RetryPolicy, kRetryPolicies)
FABRO_WORDS(Selection, kSelections)
FABRO_WORDS(Language, kLanguages)
FABRO_WORDS(JoinPolicy, kJoinPolicies)
FABRO_WORDS(ReasoningEffort, kEfforts)
FABRO_WORDS(Backend, kBackends)
FABRO_WORDS(Fidelity, kFidelities)
#undef FABRO_WORDS

std::optional<NodeKind> NodeKindOfShape(std::string_view shape) { return ValueOf<NodeKind>(kShapes, shape); }
std::string_view ShapeOf(NodeKind kind) { return TextOf<NodeKind>(kShapes, kind); }

}  // namespace fabro::workflow
