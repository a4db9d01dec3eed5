// Identifiers as types of their own, made from text only by Parse.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/random.h"
#include "core/base/time.h"

namespace fabro {

// A run's identifier: a ULID (48 bits of milliseconds, 80 random bits), so that ids sort by creation.
// Source: https://github.com/ulid/spec.
class RunId {
 public:
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kTextSize = 26;

  RunId() = default;  // all zeros: no run

  // 26 characters of Crockford base32, either case; nothing else.
  static std::optional<RunId> Parse(std::string_view text);
  static RunId FromBytes(const std::array<std::uint8_t, kBytes>& bytes);

  std::string ToString() const;  // upper case
  const std::array<std::uint8_t, kBytes>& bytes() const { return bytes_; }
  Timestamp created_at() const;  // the time part

  auto operator<=>(const RunId&) const = default;

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

// Makes ids that increase strictly within a process, also inside one millisecond. Thread-safe.
class RunIdSource {
 public:
  explicit RunIdSource(Random& random) : random_(random) {}
  RunId Next(Timestamp now);

 private:
  Random& random_;
};

// Position of an event in its run: 1, 2, 3 ... with no gap; 0 is before the first.
enum class EventSeq : std::uint64_t {};
constexpr std::uint64_t ToUint(EventSeq seq) { return static_cast<std::uint64_t>(seq); }

}  // namespace fabro

template <>
struct std::hash<fabro::RunId> {
  std::size_t operator()(const fabro::RunId& id) const noexcept {
    std::size_t hash = 0;
    for (std::size_t i = 8; i < 16; ++i) hash = (hash << 8) | id.bytes()[i];  // the random part
    return hash;
  }
};
