#include "core/engine/json_text.h"

#include <cstdint>

#include "core/base/strings.h"

namespace fabro::engine {
namespace {

void AppendUtf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::optional<std::uint32_t> ReadHex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    value <<= 4;
    if (c >= '0' && c <= '9') {
      value |= static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value |= static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      value |= static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

bool IsHighSurrogate(std::uint32_t code) { return code >= 0xD800 && code < 0xDC00; }
bool IsLowSurrogate(std::uint32_t code) { return code >= 0xDC00 && code < 0xE000; }

// Reads the `uXXXX` (and a second half) at `at`; returns how many bytes were read.
std::size_t AppendUnicodeEscape(std::string& out, std::string_view text, std::size_t at) {
  const std::optional<std::uint32_t> first = ReadHex4(text.substr(at + 1));
  if (!first) return 1;
  std::uint32_t code = *first;
  std::size_t read = 5;
  if (IsHighSurrogate(code) && text.substr(at + 5, 2) == "\\u") {
    const std::optional<std::uint32_t> second = ReadHex4(text.substr(at + 7));
    if (second && IsLowSurrogate(*second)) {
      code = 0x10000 + ((code - 0xD800) << 10) + (*second - 0xDC00);
      read = 11;
    }
  }
  AppendUtf8(out, IsHighSurrogate(code) || IsLowSurrogate(code) ? 0xFFFD : code);
  return read;
}

std::string Unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i++];
      continue;
    }
    ++i;
    switch (text[i]) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u':
        i += AppendUnicodeEscape(out, text, i);
        continue;
      default:
        out += text[i];
    }
    ++i;
  }
  return out;
}

// The elements of a JSON array, cut at the commas of its own level.
std::vector<std::string> ItemsOf(std::string_view array) {
  std::vector<std::string> items;
  const std::string_view inner = Trim(array.substr(1, array.size() - 2));
  if (inner.empty()) return items;
  int depth = 0;
  bool in_string = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    const char c = inner[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == ',' && depth == 0) {
      items.push_back(TextOf(Trim(inner.substr(begin, i - begin))));
      begin = i + 1;
    }
  }
  items.push_back(TextOf(Trim(inner.substr(begin))));
  return items;
}

}  // namespace

std::string TextOf(std::string_view json) {
  if (json.size() < 2 || json.front() != '"' || json.back() != '"') return std::string(json);
  const std::string_view inner = json.substr(1, json.size() - 2);
  if (inner.find('\\') == std::string_view::npos) return std::string(inner);
  return Unescape(inner);
}

workflow::ContextValue ValueOf(std::string_view json) {
  workflow::ContextValue value{.text = TextOf(json), .items = std::nullopt};
  if (json.size() >= 2 && json.front() == '[' && json.back() == ']') value.items = ItemsOf(json);
  return value;
}

}  // namespace fabro::engine
