// The life of a run, and its legal moves.
//
//   queued -> starting -> running <-> paused
//      |          |          |           |
//      +----------+----------+-----------+--> cancelled          (any of them)
//                 +----------+-----------+--> failed
//                            +--------------> completed
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fabro {

// The numbers are stored in databases: words only join, at the end.
enum class RunStatus : std::uint8_t {
  kQueued,
  kStarting,
  kRunning,
  kPaused,
  kCompleted,
  kFailed,
  kCancelled
};

inline constexpr std::array kAllRunStatuses{RunStatus::kQueued,   RunStatus::kStarting,  RunStatus::kRunning,
                                            RunStatus::kPaused,   RunStatus::kCompleted, RunStatus::kFailed,
                                            RunStatus::kCancelled};

// Nothing leaves a terminal status.
constexpr bool IsTerminal(RunStatus status) {
  return status == RunStatus::kCompleted || status == RunStatus::kFailed || status == RunStatus::kCancelled;
}

namespace internal {
constexpr std::uint8_t Bit(RunStatus status) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(status));
}
// Where each status may go. A run whose pause was asked for still ends as failed when the stage in hand ends
// it.
inline constexpr std::array<std::uint8_t, kAllRunStatuses.size()> kMoves{
    Bit(RunStatus::kStarting) | Bit(RunStatus::kCancelled),
    Bit(RunStatus::kRunning) | Bit(RunStatus::kFailed) | Bit(RunStatus::kCancelled),
    Bit(RunStatus::kPaused) | Bit(RunStatus::kCompleted) | Bit(RunStatus::kFailed) |
        Bit(RunStatus::kCancelled),
    Bit(RunStatus::kRunning) | Bit(RunStatus::kFailed) | Bit(RunStatus::kCancelled),
    0,
    0,
    0,
};
}  // namespace internal

// Staying is no move.
constexpr bool CanMove(RunStatus from, RunStatus to) {
  return (internal::kMoves[static_cast<std::size_t>(from)] & internal::Bit(to)) != 0;
}

static_assert(!CanMove(RunStatus::kCompleted, RunStatus::kRunning));

std::string_view ToString(RunStatus status);  // "queued"
std::optional<RunStatus> ParseRunStatus(std::string_view text);

}  // namespace fabro
