// The closed vocabularies of the language. Each has one ToString and one Parse; ToString gives the text that
// the language and the public API use.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fabro::workflow {

enum class NodeKind : std::uint8_t {
  kStart,
  kExit,
  kAgent,
  kPrompt,
  kCommand,
  kHuman,
  kConditional,
  kParallel,
  kFanIn,
  kWait,
  kManagerLoop,
};
std::string_view ToString(NodeKind kind);  // the canonical `type`: "agent", "parallel.fan_in", ...
std::optional<NodeKind> ParseNodeKind(std::string_view type);     // canonical names and their older aliases
std::optional<NodeKind> NodeKindOfShape(std::string_view shape);  // "hexagon" is kHuman
std::string_view ShapeOf(NodeKind kind);                          // the inverse

enum class RetryPolicy : std::uint8_t { kNone, kStandard, kAggressive, kLinear, kPatient };
std::string_view ToString(RetryPolicy policy);
std::optional<RetryPolicy> ParseRetryPolicy(std::string_view text);

enum class Selection : std::uint8_t { kDeterministic, kRandom };
std::string_view ToString(Selection selection);
std::optional<Selection> ParseSelection(std::string_view text);

enum class Language : std::uint8_t { kShell, kPython };
std::string_view ToString(Language language);
std::optional<Language> ParseLanguage(std::string_view text);

enum class JoinPolicy : std::uint8_t { kWaitAll, kFirstSuccess };
std::string_view ToString(JoinPolicy policy);
std::optional<JoinPolicy> ParseJoinPolicy(std::string_view text);

enum class ReasoningEffort : std::uint8_t { kLow, kMedium, kHigh };
std::string_view ToString(ReasoningEffort effort);
std::optional<ReasoningEffort> ParseReasoningEffort(std::string_view text);

enum class Backend : std::uint8_t { kApi };
std::string_view ToString(Backend backend);
std::optional<Backend> ParseBackend(std::string_view text);

// How much of the earlier conversation a model stage is given.
enum class Fidelity : std::uint8_t { kFull, kCompact, kSummaryHigh, kSummaryMedium, kSummaryLow, kTruncate };
std::string_view ToString(Fidelity fidelity);  // "summary:high"
std::optional<Fidelity> ParseFidelity(std::string_view text);

}  // namespace fabro::workflow
