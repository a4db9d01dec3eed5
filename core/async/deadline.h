// An instant by which something must be over, passed down instead of re-invented.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace fabro {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline Never() { return Deadline(); }
  static Deadline At(Clock::time_point at) { return Deadline(at); }
  static Deadline In(Clock::duration left) { return Deadline(Clock::now() + left); }

  bool is_never() const { return !at_; }
  bool passed() const { return at_ && *at_ <= Clock::now(); }
  std::optional<Clock::time_point> at() const { return at_; }

 private:
  Deadline() = default;
  explicit Deadline(Clock::time_point at) : at_(at) {}
  std::optional<Clock::time_point> at_;
};

inline Deadline Earlier(Deadline a, Deadline b) {
  if (a.is_never()) return b;
  if (b.is_never()) return a;
  return Deadline::At(std::min(*a.at(), *b.at()));
}

}  // namespace fabro
