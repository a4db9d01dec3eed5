#include "core/config/duration.h"

#include <array>
#include <utility>

#include "core/base/strings.h"

namespace fabro::config {
namespace {

// Longest unit first; "ms" before "s" and "m" so that its ending is not taken for theirs.
constexpr std::array<std::pair<std::string_view, long long>, 5> kUnits = {
    {{"ms", 1}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}}};
constexpr long long kMaxMs = 365LL * 86'400'000;

}  // namespace

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  text = Trim(text);
  long long unit = 1'000;
  for (const auto& [name, ms] : kUnits) {
    if (!text.ends_with(name)) continue;
    text.remove_suffix(name.size());
    unit = ms;
    break;
  }
  const std::optional<long long> count = ParseInt(text);
  if (!count || *count < 0 || *count > kMaxMs / unit) return std::nullopt;
  return std::chrono::milliseconds(*count * unit);
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  const long long ms = duration.count();
  for (const auto& [name, unit] : kUnits) {
    if (unit != 1 && ms != 0 && ms % unit == 0) return StrCat(ms / unit, name);
  }
  return ms == 0 ? "0s" : StrCat(ms, "ms");
}

}  // namespace fabro::config
