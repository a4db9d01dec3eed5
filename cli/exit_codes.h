// What `fabro` ends with; scripts rely on it.
#pragma once

#include "absl/status/status.h"

namespace fabro::cli {

inline constexpr int kExitOk = 0;            // done; the run completed
inline constexpr int kExitFailed = 1;        // refused, or the run failed
inline constexpr int kExitUsage = 2;         // the command line is wrong
inline constexpr int kExitUnreachable = 3;   // no server answers
inline constexpr int kExitCancelled = 130;   // the run was cancelled, or Ctrl-C left it running
inline constexpr int kExitTerminated = 143;  // SIGTERM

// Prints the error with what to do about it, and gives the exit code.
int Fail(const absl::Status& status, const std::string& server);

}  // namespace fabro::cli
