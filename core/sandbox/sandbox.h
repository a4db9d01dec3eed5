// Where a stage's commands run.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/task.h"

namespace fabro::sandbox {

enum class Stream : std::uint8_t { kStdout, kStderr };

using Environment = std::vector<std::pair<std::string, std::string>>;

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH
  Environment env;                // added to the sandbox's own; a later name wins
  std::string work_dir;           // absolute; exists
  std::chrono::milliseconds timeout{std::chrono::minutes(10)};
  std::string input;                  // what it reads from standard input
  std::string label;                  // what it is for, "RUN-STAGE-ATTEMPT": part of the name of a container
  std::vector<std::string> readable;  // absolute; may be read even where the provider would hide them
};

// How a command ended. Its output is bounded: see OutputTail.
struct CommandResult {
  enum class End : std::uint8_t { kExited, kTimedOut, kCancelled };
  End end = End::kExited;
  int exit_code = 0;  // 128 + N for a command that signal N ended
  std::string out;    // standard output, valid UTF-8
  std::string err;
  std::chrono::milliseconds duration{0};
};

// Receives output while a command runs, in valid UTF-8. The command is not read further until Write returns,
// so a slow receiver slows the command.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual Task<void> Write(Stream stream, std::string text) = 0;
};

class Sandbox {
 public:
  virtual ~Sandbox() = default;

  // Runs the command to its end. When this returns, no process of it is left, whatever it did: on a time-out,
  // on cancellation of the caller (which first gets SIGTERM through, then SIGKILL after the grace period),
  // and when it leaves children behind. An error is one of ours: the command could not be started.
  virtual Task<absl::StatusOr<CommandResult>> Run(Command command, OutputSink* sink) = 0;
};

}  // namespace fabro::sandbox
