#include "gateway/route/path_template.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::route {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool IsFieldPath(std::string_view text) {
  for (const std::string_view part : Split(text, '.')) {
    if (part.empty() || (part[0] >= '0' && part[0] <= '9')) return false;
    const bool is_name = std::all_of(part.begin(), part.end(), [](char c) {
      return c == '_' || (IsUnreserved(c) && c != '-' && c != '.' && c != '~');
    });
    if (!is_name) return false;
  }
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

absl::Status Bad(std::string_view text, std::string_view what) {
  return InvalidArgument(Reason::kInvalidArgument, text, StrCat("path template \"", text, "\": ", what));
}

absl::StatusOr<Segment> ParseSegment(std::string_view whole, std::string_view part) {
  if (part.empty()) return Bad(whole, "an empty segment");
  if (part.front() == '{' && part.back() == '}') {
    std::string_view name = part.substr(1, part.size() - 2);
    const std::size_t equals = name.find('=');
    if (equals != std::string_view::npos && name.substr(equals + 1) != "*") {
      return Bad(whole, "a variable holds exactly one segment: {name} or {name=*}");
    }
    name = name.substr(0, equals);
    if (!IsFieldPath(name)) return Bad(whole, StrCat("\"", name, "\" is no field's name"));
    return Segment{.is_variable = true, .text = std::string(name)};
  }
  if (!std::all_of(part.begin(), part.end(), IsUnreserved)) {
    return Bad(whole, StrCat("\"", part, "\" is neither a literal nor a variable"));
  }
  return Segment{.is_variable = false, .text = std::string(part)};
}

}  // namespace

absl::StatusOr<PathTemplate> PathTemplate::Parse(std::string_view text) {
  PathTemplate path;
  path.text_ = text;
  if (!text.starts_with('/')) return Bad(text, "it does not begin with a slash");
  if (text == "/") return path;
  std::size_t begin = 1;
  while (begin <= text.size()) {
    // A slash inside braces belongs to the variable, which is refused with a better reason than an empty
    // segment.
    const std::size_t brace = text.find('{', begin);
    std::size_t end = text.find('/', begin);
    if (brace < end) end = text.find('/', text.find('}', brace));
    absl::StatusOr<Segment> segment = ParseSegment(text, text.substr(begin, end - begin));
    if (!segment.ok()) return segment.status();
    const std::vector<std::string> known = path.variables();
    if (segment->is_variable && std::find(known.begin(), known.end(), segment->text) != known.end()) {
      return Bad(text, StrCat("the variable \"", segment->text, "\" appears twice"));
    }
    path.segments_.push_back(*std::move(segment));
    if (end == std::string_view::npos) break;
    begin = end + 1;
  }
  return path;
}

std::vector<std::string> PathTemplate::variables() const {
  std::vector<std::string> names;
  for (const Segment& segment : segments_) {
    if (segment.is_variable) names.push_back(segment.text);
  }
  return names;
}

std::string PathTemplate::Pattern() const {
  std::string pattern;
  for (const Segment& segment : segments_) pattern += segment.is_variable ? "/{}" : "/" + segment.text;
  return pattern.empty() ? "/" : pattern;
}

bool PercentDecode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return true;
}

void AppendPercentEncoded(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
}

}  // namespace fabro::route
