#include "core/workflow/variables.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "core/workflow/characters.h"

namespace fabro::workflow {

SourceText::SourceText(std::string_view source, const Variables& variables) {
  line_starts_.push_back(0);
  for (std::size_t at = source.find('\n'); at != std::string_view::npos; at = source.find('\n', at + 1)) {
    line_starts_.push_back(at + 1);
  }

  std::unordered_set<std::string_view> reported;
  std::size_t copied_to = 0;  // everything of the source before this is in text_
  const auto copy_until = [&](std::size_t end) {
    segments_.push_back({text_.size(), copied_to, true});
    text_ += source.substr(copied_to, end - copied_to);
    copied_to = end;
  };
  const auto replace_until = [&](std::size_t end, std::string_view with) {
    segments_.push_back({text_.size(), copied_to, false});
    text_ += with;
    copied_to = end;
  };

  std::size_t at = source.find('$');
  for (; at != std::string_view::npos && text_.size() <= kMaxSourceBytes; at = source.find('$', at)) {
    if (source.substr(at + 1, 1) == "$") {
      copy_until(at);
      replace_until(at + 2, "$");
      at += 2;
      continue;
    }
    const std::string_view name = IdentifierAt(source, at + 1);
    const auto found = variables.find(name);
    if (name.empty() || name == "goal" || found == variables.end()) {
      const bool is_undefined = !name.empty() && name != "goal";
      if (is_undefined && reported.insert(name).second)
        undefined_.push_back({std::string(name), PositionOf(at)});
      at += 1 + name.size();
      continue;
    }
    copy_until(at);
    replace_until(at + 1 + name.size(), found->second);
    at = copied_to;
  }
  copy_until(source.size());
}

SourcePosition SourceText::Locate(std::size_t offset) const {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), offset,
                       [](std::size_t value, const Segment& segment) { return value < segment.begin; });
  const Segment& segment = *std::prev(after);  // the first segment begins at 0
  return PositionOf(segment.copied ? segment.original + (offset - segment.begin) : segment.original);
}

SourcePosition SourceText::PositionOf(std::size_t original) const {
  const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), original);
  return {.line = static_cast<int>(after - line_starts_.begin()),
          .column = static_cast<int>(original - *std::prev(after)) + 1};
}

}  // namespace fabro::workflow
