// Which paths are left out: patterns as in a .gitignore.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace fabro::git {

// Immutable and thread-safe; copies share what they were parsed to. `*` and `?` stop at a slash, `**` does
// not, [a-z] and [!a-z] are sets, and a backslash takes the next character as it is. A pattern without a
// slash, but for a last one, matches at any depth, any other from the repository's root. What it matches is
// left out with everything below.
class Globs {
 public:
  Globs() = default;  // none

  // InvalidArgument names the pattern that cannot be one.
  static absl::StatusOr<Globs> Parse(const std::vector<std::string>& patterns);

  bool Matches(std::string_view path) const;

 private:
  std::shared_ptr<const re2::RE2> expression_;  // shared among copies; null: matches nothing
};

}  // namespace fabro::git
