#include "cli/sse_parser.h"

#include <utility>

#include "core/base/error.h"

namespace fabro::cli {

absl::Status SseParser::Feed(std::string_view bytes, std::vector<SseFrame>* frames) {
  while (!bytes.empty()) {
    if (after_cr_ && bytes[0] == '\n') bytes.remove_prefix(1);
    after_cr_ = false;
    const std::size_t end = bytes.find_first_of("\r\n");
    line_ += bytes.substr(0, end);
    if (line_.size() + frame_.data.size() > kMaxFrameBytes) {
      return Internal("the server sent an event that is too long");
    }
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    TakeLine(line_, frames);
    line_.clear();
  }
  return absl::OkStatus();
}

void SseParser::TakeLine(std::string_view line, std::vector<SseFrame>* frames) {
  if (std::exchange(at_start_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    if (has_data_) frames->push_back(std::move(frame_));
    frame_ = SseFrame();
    has_data_ = false;
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) frame_.data += '\n';
    frame_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    frame_.event = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    frame_.id = value;
  }
}

}  // namespace fabro::cli
