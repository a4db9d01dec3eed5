// Keeps the beginning and the end of a stream of output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fabro::sandbox {

// At most `limit` bytes: the first half as it came, and the last half, with a mark between that says how much
// is left out. Cuts never split a UTF-8 sequence when the input is valid.
class OutputTail {
 public:
  explicit OutputTail(std::size_t limit) : half_(limit / 2) {}

  // Takes more output. Gives the part that still belongs to the head, for showing at once.
  std::string_view Append(std::string_view text);

  // What comes after the head: the mark and the tail; empty when all of it fitted.
  std::string Rest() const;
  std::string Text() const { return head_ + Rest(); }
  std::uint64_t total_bytes() const { return total_; }

 private:
  const std::size_t half_;
  std::string head_;
  bool head_full_ = false;
  std::string tail_;  // at most twice half_, cut back now and then
  std::uint64_t total_ = 0;
};

}  // namespace fabro::sandbox
