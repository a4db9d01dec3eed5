// The character classes of the language (ASCII, whatever the locale).
#pragma once

#include <cstddef>
#include <string_view>

namespace fabro::workflow {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
constexpr bool IsIdentifierStart(char c) { return IsLetter(c) || c == '_'; }
constexpr bool IsIdentifierPart(char c) { return IsIdentifierStart(c) || IsDigit(c); }

// The identifier that begins at an offset; empty when none does.
constexpr std::string_view IdentifierAt(std::string_view text, std::size_t at) {
  if (at >= text.size() || !IsIdentifierStart(text[at])) return {};
  std::size_t end = at + 1;
  while (end < text.size() && IsIdentifierPart(text[end])) ++end;
  return text.substr(at, end - at);
}

}  // namespace fabro::workflow
