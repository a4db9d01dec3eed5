#include "cli/text.h"

#include <algorithm>
#include <cstdio>

#include "core/base/strings.h"

namespace fabro::cli {
namespace {

// Reads one code point of valid UTF-8 and moves past it.
char32_t Next(std::string_view& text) {
  const unsigned char first = static_cast<unsigned char>(text[0]);
  const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t code = size == 1 ? first : first & (0xFF >> (size + 1));
  for (std::size_t i = 1; i < size && i < text.size(); ++i) {
    code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3F);
  }
  text.remove_prefix(std::min(size, text.size()));
  return code;
}

struct Range {
  char32_t first, last;
};
// The blocks that matter; a terminal may see single characters differently.
constexpr Range kNoWidth[] = {
    {0x300, 0x36F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}};
constexpr Range kWide[] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},
                           {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                           {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};

int WidthOf(char32_t code) {
  const auto holds = [code](const Range& range) { return code >= range.first && code <= range.last; };
  if (std::any_of(std::begin(kNoWidth), std::end(kNoWidth), holds)) return 0;
  return std::any_of(std::begin(kWide), std::end(kWide), holds) ? 2 : 1;
}

// Past an escape sequence that starts at text[0] == ESC: CSI up to its final byte, OSC and the like up to BEL
// or ST, else two characters.
std::size_t EscapeSize(std::string_view text) {
  if (text.size() < 2) return text.size();
  if (text[1] == '[') {
    std::size_t i = 2;
    while (i < text.size() && text[i] >= ' ' && text[i] <= '?') ++i;
    const bool has_final = i < text.size() && text[i] >= '@' && text[i] <= '~';
    return has_final ? i + 1 : i;
  }
  if (text[1] == ']' || text[1] == 'P' || text[1] == '_' || text[1] == '^' || text[1] == 'X') {
    for (std::size_t i = 2; i < text.size(); ++i) {
      if (text[i] == '\a') return i + 1;
      if (text[i] == '\x1b' && i + 1 < text.size() && text[i + 1] == '\\') return i + 2;
      if (text[i] == '\n') return i;
    }
    return text.size();
  }
  return text[1] >= ' ' && text[1] <= '~' ? 2 : 1;
}

std::string_view CodeOf(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kDim:
      return "\x1b[2m";
    case Tone::kStrong:
      return "\x1b[1m";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kWarn:
      return "\x1b[33m";
    case Tone::kAccent:
      return "\x1b[36m";
  }
  return "";
}

}  // namespace

std::string Clean(std::string_view raw) {
  const std::string valid = ToValidUtf8(raw);
  std::string_view text = valid;
  std::string out;
  while (!text.empty()) {
    const char c = text[0];
    if (c == '\x1b') {
      text.remove_prefix(EscapeSize(text));
    } else if (c == '\t') {
      out += "  ";
      text.remove_prefix(1);
    } else if (c == '\n') {
      out += c;
      text.remove_prefix(1);
    } else {
      const std::string_view before = text;
      const char32_t code = Next(text);
      // C0, DEL, C1 and the characters that turn the direction of writing.
      const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) ||
                           (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
      if (!control) out += before.substr(0, before.size() - text.size());
    }
  }
  return out;
}

std::string CleanLine(std::string_view text) {
  std::string out = Clean(text);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

std::vector<std::string> CleanLines(std::string_view text) {
  const std::string clean = Clean(text);
  std::vector<std::string> lines;
  for (const std::string_view line : Split(clean, '\n')) lines.emplace_back(line);
  while (!lines.empty() && Trim(lines.back()).empty()) lines.pop_back();
  return lines;
}

int WidthOf(std::string_view text) {
  int width = 0;
  while (!text.empty()) width += WidthOf(Next(text));
  return width;
}

std::string Fit(std::string_view text, int columns, bool unicode) {
  if (WidthOf(text) <= columns) return std::string(text);
  const std::string_view mark = unicode ? "…" : "...";
  const int room = columns - WidthOf(mark);
  if (room < 0) return "";
  std::string out;
  int width = 0;
  while (!text.empty()) {
    const std::string_view before = text;
    width += WidthOf(Next(text));
    if (width > room) break;
    out += before.substr(0, before.size() - text.size());
  }
  return out.append(mark);
}

Line FitLine(const Line& line, int columns, bool unicode) {
  Line out;
  for (const Span& span : line) {
    const int width = WidthOf(span.text);
    if (width > columns) {
      out.push_back({Fit(span.text, columns, unicode), span.tone});
      break;
    }
    out.push_back(span);
    columns -= width;
  }
  return out;
}

std::string Paint(const Line& line, const Style& style) {
  std::string out;
  for (const Span& span : line) {
    const std::string_view code = style.colours ? CodeOf(span.tone) : "";
    out += code;
    out += span.text;
    if (!code.empty()) out += "\x1b[0m";
  }
  return out;
}

std::string PlainText(const Line& line) { return Paint(line, Style()); }

std::string ShowDuration(std::chrono::milliseconds duration) {
  const long long ms = std::max<long long>(duration.count(), 0);
  char text[32];
  if (ms < 9'950) {
    std::snprintf(text, sizeof text, "%lld.%llds", (ms + 50) / 1000, (ms + 50) % 1000 / 100);
  } else if (ms < 59'500) {
    std::snprintf(text, sizeof text, "%llds", (ms + 500) / 1000);
  } else if (ms < 3'599'500) {
    std::snprintf(text, sizeof text, "%lldm%02llds", (ms + 500) / 60'000, (ms + 500) % 60'000 / 1000);
  } else {
    std::snprintf(text, sizeof text, "%lldh%02lldm", ms / 3'600'000, ms % 3'600'000 / 60'000);
  }
  return text;
}

std::vector<Line> Table(const std::vector<std::string>& header, const std::vector<std::vector<Span>>& rows,
                        const Style& style) {
  std::vector<int> widths;
  for (const std::string& title : header) widths.push_back(WidthOf(title));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i].text));
  }
  std::vector<Line> lines;
  const auto add = [&](const std::vector<Span>& cells) {
    Line line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      Span cell = cells[i];
      if (i + 1 < cells.size()) cell.text.append(widths[i] + 2 - WidthOf(cell.text), ' ');
      line.push_back(std::move(cell));
    }
    lines.push_back(FitLine(line, style.width, style.unicode));
  };
  std::vector<Span> titles;
  for (const std::string& title : header) titles.push_back({title, Tone::kDim});
  add(titles);
  for (const auto& row : rows) add(row);
  return lines;
}

}  // namespace fabro::cli
