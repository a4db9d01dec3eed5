// What is told of a run's preparation: values, each of which becomes one event.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace fabro::engine {

struct SandboxInitializing {
  std::string provider;
};
struct SandboxReady {
  std::string provider;
  std::chrono::milliseconds duration{0};
  std::string name;  // empty: none
};
struct BranchMade {
  std::string branch;  // "fabro/run/ID"
  std::string sha;     // where it begins
};
struct SetupStarted {
  std::uint32_t command_count = 0;
};
struct SetupCommandStarted {
  std::string command;
  std::uint32_t index = 0;
};
struct SetupCommandCompleted {
  std::string command;
  std::uint32_t index = 0;
  int exit_code = 0;
  std::chrono::milliseconds duration{0};
};
struct SetupCompleted {
  std::chrono::milliseconds duration{0};
};
struct SetupFailed {
  std::string command;
  std::uint32_t index = 0;
  int exit_code = 0;
  std::string error;  // the end of its standard error
};
// Something about the preparation that the run's owner should know: a RunNotice.
struct PreparationNotice {
  std::string code;
  std::string message;
};

// Texts are redacted.
using PreparationStep =
    std::variant<SandboxInitializing, SandboxReady, BranchMade, SetupStarted, SetupCommandStarted,
                 SetupCommandCompleted, SetupCompleted, SetupFailed, PreparationNotice>;

// How a preparation ended; kept in the run's state.
struct Prepared {
  std::string work_dir;                // where stages run: the folder as it was, or a worktree of it
  std::string repository;              // the git repository that the worktree belongs to; empty: no git
  std::string base_sha;                // where the run's branch began
  std::optional<std::string> failure;  // the run fails with it
};

// How a run ended, for what follows it.
struct RunEnd {
  enum class How : std::uint8_t { kCompleted, kFailed, kCancelled };
  How how = How::kCompleted;
  std::string error;  // of a failed run
};

}  // namespace fabro::engine
