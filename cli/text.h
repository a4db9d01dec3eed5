// How the command line puts things into words and lines: no I/O here, so tests compare values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fabro::cli {

enum class Tone : std::uint8_t { kPlain, kDim, kStrong, kGood, kBad, kWarn, kAccent };

struct Span {
  std::string text;
  Tone tone = Tone::kPlain;
};
using Line = std::vector<Span>;

// What an output can show.
struct Style {
  bool colours = false;
  bool unicode = false;  // else ASCII stands in for marks and spinners
  int width = 80;        // columns
};

// Text of others (labels, outputs, errors) made harmless for a terminal: escape sequences and control
// characters are dropped, a tab becomes blanks, bytes that are no UTF-8 become U+FFFD. Line feeds stay.
std::string Clean(std::string_view text);
std::string CleanLine(std::string_view text);  // and line feeds become blanks
std::vector<std::string> CleanLines(std::string_view text);

// Columns that the text takes: wide characters take two, combining ones none.
int WidthOf(std::string_view text);
// At most `columns`, with an ellipsis where something is missing.
std::string Fit(std::string_view text, int columns, bool unicode);
Line FitLine(const Line& line, int columns, bool unicode);

std::string Paint(const Line& line,
                  const Style& style);  // with colours when the style has them, no line feed
std::string PlainText(const Line& line);

// "0.4s", "12s", "3m05s", "2h07m".
std::string ShowDuration(std::chrono::milliseconds duration);

// Columns as wide as their contents, two blanks between, the last one cut at the width. No rows: the header
// alone.
std::vector<Line> Table(const std::vector<std::string>& header, const std::vector<std::vector<Span>>& rows,
                        const Style& style);

}  // namespace fabro::cli
