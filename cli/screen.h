// What a terminal must be sent so that finished lines scroll by and the lines in motion stay below them,
// redrawn in place. Only makes text; terminal.h writes it.
#pragma once

#include <string>
#include <vector>

#include "cli/text.h"

namespace fabro::cli {

class Screen {
 public:
  // Without `in_place` (a pipe, a dumb terminal) finished lines are all that is ever written.
  Screen(Style style, bool in_place) : style_(style), in_place_(in_place) {}

  // Adds the finished lines and shows `live` below them, then `prompt` (on a line of its own that stays open
  // for typing). Returns nothing when the screen already looks like that, so that typed characters are left
  // alone.
  std::string Update(const std::vector<Line>& finished, const std::vector<Line>& live,
                     const Line& prompt = {});

  // The person pressed Enter: the prompt and what was typed have scrolled up and stay.
  void PromptTaken();

  void set_width(int width) { style_.width = width; }
  const Style& style() const { return style_; }

 private:
  Style style_;
  const bool in_place_;
  std::vector<std::string> shown_;  // the lines in motion as they were painted, the prompt last
  bool prompt_open_ = false;
};

}  // namespace fabro::cli
