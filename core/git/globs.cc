#include "core/git/globs.h"

#include <re2/re2.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::git {
namespace {

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

// The part of a pattern that is not read yet becomes an RE2 expression piece by piece.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : rest_(pattern) {}

  std::string Translate() {
    if (rest_.ends_with('/')) rest_.remove_suffix(1);
    const bool at_any_depth = rest_.find('/') == std::string_view::npos;
    if (rest_.starts_with('/')) rest_.remove_prefix(1);
    std::string out = at_any_depth ? "(?:.*/)?" : "";
    while (!rest_.empty()) Next(out);
    return out + "(?:/.*)?";
  }

 private:
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  void Next(std::string& out) {
    if (Take("**/")) {
      out += "(?:.*/)?";
    } else if (Take("**")) {
      out += ".*";
    } else if (Take("*")) {
      out += "[^/]*";
    } else if (Take("?")) {
      out += "[^/]";
    } else if (rest_.starts_with('[') && rest_.find(']', 2) != std::string_view::npos) {
      AppendSet(out);
    } else {
      if (rest_.size() > 1) Take("\\");
      out += re2::RE2::QuoteMeta(Piece(rest_.substr(0, 1)));
      rest_.remove_prefix(1);
    }
  }

  void AppendSet(std::string& out) {
    const std::size_t end = rest_.find(']', rest_.starts_with("[!") || rest_.starts_with("[^") ? 3 : 2);
    if (end == std::string_view::npos) {
      rest_.remove_prefix(1);
      out += "\\[";
      return;
    }
    std::string_view inside = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    out += '[';
    if (inside.starts_with('!') || inside.starts_with('^')) {
      out += "^/";
      inside.remove_prefix(1);
    }
    for (const char c : inside) {
      if (c == '\\' || c == '[' || c == ']' || c == '^') out += '\\';
      out += c;
    }
    out += ']';
  }

  std::string_view rest_;
};

}  // namespace

absl::StatusOr<Globs> Globs::Parse(const std::vector<std::string>& patterns) {
  re2::RE2::Options options(re2::RE2::Latin1);  // paths are bytes
  options.set_dot_nl(true);
  options.set_log_errors(false);
  std::string all;
  for (const std::string& pattern : patterns) {
    if (Trim(pattern).empty()) continue;
    const std::string one = Translator(pattern).Translate();
    if (!re2::RE2(one, options).ok()) {
      return InvalidArgument(Reason::kInvalidArgument, pattern,
                             StrCat("\"", pattern, "\" is no pattern of paths"));
    }
    all += StrCat(all.empty() ? "" : "|", "(?:", one, ")");
  }
  Globs globs;
  if (all.empty()) return globs;
  globs.expression_ = std::make_shared<re2::RE2>(all, options);
  if (!globs.expression_->ok()) {
    return InvalidArgument(Reason::kInvalidArgument, "", "the patterns of paths are too many or too long");
  }
  return globs;
}

bool Globs::Matches(std::string_view path) const {
  return expression_ != nullptr && re2::RE2::FullMatch(Piece(path), *expression_);
}

}  // namespace fabro::git
