// Small text functions that the standard library lacks. Abseil's string calls stay inside strings.cc: its
// string_view is a class of its own in Debian's build.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fabro {

namespace internal {
inline void AppendPart(std::string& out, std::string_view part) { out += part; }
inline void AppendPart(std::string& out, char part) { out += part; }
template <std::integral T>
  requires(!std::same_as<T, char>)
void AppendPart(std::string& out, T part) {
  out += std::to_string(part);
}
}  // namespace internal

// Concatenates strings, characters and integers.
template <typename... Parts>
std::string StrCat(const Parts&... parts) {
  std::string out;
  (internal::AppendPart(out, parts), ...);
  return out;
}

std::string_view Trim(std::string_view text);  // ASCII white space off both ends
std::string ToLower(std::string_view text);    // ASCII
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
std::vector<std::string_view> Split(std::string_view text, char separator);  // "a,,b" gives three parts
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);

bool IsValidUtf8(std::string_view text);
// Bytes that are no UTF-8 become U+FFFD.
std::string ToValidUtf8(std::string_view text);
// At most max_characters code points, never cut inside one.
std::string_view TruncateUtf8(std::string_view text, std::size_t max_characters);
std::size_t CountUtf8(std::string_view text);

std::optional<long long> ParseInt(std::string_view text);  // the whole text, decimal, optional '-'
std::optional<double> ParseDouble(std::string_view text);  // the whole text, finite

// Appends text as a JSON string literal with its quotes. Invalid UTF-8 becomes U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);
std::string JsonString(std::string_view text);

// The known word nearest to `word` by edit distance, if it is near enough to be a typing mistake.
std::optional<std::string> NearestWord(std::string_view word, const std::vector<std::string>& known);

}  // namespace fabro
