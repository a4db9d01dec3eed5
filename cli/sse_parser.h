// Splits a text/event-stream into frames, however the bytes arrive.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace fabro::cli {

struct SseFrame {
  std::optional<std::string> id;  // of this frame itself
  std::string event;              // empty: "message"
  std::string data;               // its lines joined by '\n'
};

class SseParser {
 public:
  static constexpr std::size_t kMaxFrameBytes = 16 << 20;

  // Appends each frame that these bytes complete; a frame without data is none. After an error (a frame
  // longer than kMaxFrameBytes) the parser is of no more use.
  absl::Status Feed(std::string_view bytes, std::vector<SseFrame>* frames);

 private:
  void TakeLine(std::string_view line, std::vector<SseFrame>* frames);

  std::string line_;
  SseFrame frame_;
  bool has_data_ = false;
  bool after_cr_ = false;  // an LF that follows belongs to the line that ended
  bool at_start_ = true;   // a byte order mark may stand there
};

}  // namespace fabro::cli
