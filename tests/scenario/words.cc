#include "tests/scenario/words.h"

#include <array>
#include <cctype>
#include <utility>

#include "core/base/strings.h"

namespace fabro::scenario {

std::vector<std::string> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  bool in_quotes = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_quotes && c == '\\' && i + 1 < line.size()) {
      const char next = line[++i];
      if (next == 'x' && i + 2 < line.size()) {
        word += static_cast<char>(std::stoi(std::string(line.substr(i + 1, 2)), nullptr, 16));
        i += 2;
      } else {
        word += next == 'n' ? '\n' : next;
      }
    } else if (c == '"') {
      in_quotes = !in_quotes;
      in_word = true;
    } else if (c == ' ' && !in_quotes) {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (in_word) words.push_back(word);
  return words;
}

namespace {
constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
}

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) ++digits;
  const std::optional<long long> number = ParseInt(text.substr(0, digits));
  for (const auto& [unit, factor] : kUnits) {
    if (number && text.substr(digits) == unit) return std::chrono::milliseconds(*number * factor);
  }
  return std::nullopt;
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  const std::int64_t ms = duration.count();
  for (std::size_t i = kUnits.size(); i-- > 1;) {
    const auto& [unit, factor] = kUnits[i];
    if (ms != 0 && ms % factor == 0) return StrCat(ms / factor, unit);
  }
  return ms == 0 ? "0s" : StrCat(ms, "ms");
}

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace fabro::scenario
