// Replaces `$name` in a source and remembers where each byte came from, so that messages name places in the
// file that its author wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/workflow/graph.h"
#include "core/workflow/load.h"

namespace fabro::workflow {

struct UndefinedVariable {
  std::string name;
  SourcePosition position;
};

// The source after replacement. Offsets everywhere in this module are into text().
class SourceText {
 public:
  // `$name` becomes the variable's value, `$$` a dollar sign; `$goal`, a name that is not defined and a `$`
  // before anything else stay. Stops soon after kMaxSourceBytes: the caller refuses a text that is longer.
  SourceText(std::string_view source, const Variables& variables);

  const std::string& text() const { return text_; }
  const std::vector<UndefinedVariable>& undefined() const { return undefined_; }  // each name once

  // Where an offset stands in the source as written. Bytes of a value stand where its `$` does.
  SourcePosition Locate(std::size_t offset) const;

 private:
  struct Segment {
    std::size_t begin = 0;     // in text_
    std::size_t original = 0;  // in the source
    bool copied = false;       // byte for byte; otherwise all of it came from `original`
  };
  SourcePosition PositionOf(std::size_t original) const;

  std::string text_;
  std::vector<Segment> segments_;         // by begin
  std::vector<std::size_t> line_starts_;  // in the source
  std::vector<UndefinedVariable> undefined_;
};

}  // namespace fabro::workflow
