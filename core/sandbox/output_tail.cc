#include "core/sandbox/output_tail.h"

#include "core/base/strings.h"

namespace fabro::sandbox {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::string_view OutputTail::Append(std::string_view text) {
  total_ += text.size();
  std::string_view shown;
  if (!head_full_) {
    std::size_t room = half_ - head_.size();
    if (text.size() <= room) {
      head_ += text;
      return text;
    }
    while (room > 0 && IsContinuation(text[room])) --room;
    shown = text.substr(0, room);
    head_ += shown;
    head_full_ = true;
    text.remove_prefix(room);
  }
  tail_ += text;
  if (tail_.size() > 2 * half_) {
    std::size_t cut = tail_.size() - half_;
    while (cut < tail_.size() && IsContinuation(tail_[cut])) ++cut;
    tail_.erase(0, cut);
  }
  return shown;
}

std::string OutputTail::Rest() const {
  if (!head_full_) return "";
  std::string_view tail = tail_;
  if (tail.size() > half_) {
    std::size_t cut = tail.size() - half_;
    while (cut < tail.size() && IsContinuation(tail[cut])) ++cut;
    tail.remove_prefix(cut);
  }
  const std::uint64_t left_out = total_ - head_.size() - tail.size();
  if (left_out == 0) return std::string(tail);
  return StrCat("\n[... ", left_out, " bytes left out ...]\n", tail);
}

}  // namespace fabro::sandbox
