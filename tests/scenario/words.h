// The words of one line of a story.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabro::scenario {

// Words end at blanks; quotes hold a word together and may hold \n, \", \\ and \xFF; `key="a b"` is one word.
std::vector<std::string> SplitWords(std::string_view line);

// "250ms", "30s", "15m", "2h", "1d".
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
std::string FormatDuration(std::chrono::milliseconds duration);

// As SplitWords reads it back.
std::string Quote(std::string_view text);

}  // namespace fabro::scenario
