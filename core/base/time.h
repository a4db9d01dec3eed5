// Wall-clock instants as milliseconds since the Unix epoch, and their text forms.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fabro {

// An instant on the wall clock, millisecond precision (what the API shows and the store keeps).
struct Timestamp {
  std::int64_t unix_ms = 0;
  auto operator<=>(const Timestamp&) const = default;
};

inline Timestamp operator+(Timestamp at, std::chrono::milliseconds d) { return {at.unix_ms + d.count()}; }
inline std::chrono::milliseconds operator-(Timestamp a, Timestamp b) {
  return std::chrono::milliseconds(a.unix_ms - b.unix_ms);
}

// RFC 3339 in UTC with three fractional digits: 2026-03-30T12:00:00.123Z.
std::string FormatRfc3339(Timestamp at);
std::optional<Timestamp> ParseRfc3339(std::string_view text);

}  // namespace fabro
