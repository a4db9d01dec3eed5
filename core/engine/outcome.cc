#include "core/engine/outcome.h"

#include <array>

namespace fabro::engine {
namespace {

constexpr std::array<std::string_view, 5> kStatusWords{"success", "partial_success", "fail", "retry",
                                                       "skipped"};
constexpr std::array<std::string_view, 6> kClassWords{"deterministic", "transient_infra", "budget_exhausted",
                                                      "canceled",      "structural",      "compilation_loop"};

template <typename Enum, std::size_t kSize>
std::optional<Enum> Find(const std::array<std::string_view, kSize>& words, std::string_view text) {
  for (std::size_t i = 0; i < kSize; ++i) {
    if (words[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view ToString(OutcomeStatus status) { return kStatusWords[static_cast<std::size_t>(status)]; }
std::optional<OutcomeStatus> ParseOutcomeStatus(std::string_view text) {
  return Find<OutcomeStatus>(kStatusWords, text);
}
std::string_view ToString(FailureClass failure_class) {
  return kClassWords[static_cast<std::size_t>(failure_class)];
}
std::optional<FailureClass> ParseFailureClass(std::string_view text) {
  return Find<FailureClass>(kClassWords, text);
}

}  // namespace fabro::engine
