// Durations as people write them in configuration and flags.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace fabro::config {

// "250ms", "30s", "15m", "2h", "1d", or a bare number of seconds. Nothing for anything else, for negative
// values and for more than 365 days.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
// The shortest of those forms that is exact: "30s".
std::string FormatDuration(std::chrono::milliseconds duration);

}  // namespace fabro::config
