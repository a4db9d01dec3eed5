// Follows a run to its end on the terminal or a pipe, and answers its questions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/api.h"
#include "cli/terminal.h"

namespace fabro::cli {

struct FollowOptions {
  bool json = false;                 // one event a line on standard output, nothing else there
  bool asks = true;                  // put questions to the person at the terminal
  bool may_cancel = true;            // Ctrl-C is about the run; else it only ends the following
  std::vector<std::string> answers;  // --answer
};

// From the event behind `after` up to the run's last. Returns the exit code. Ctrl-C (may_cancel): on a
// terminal it asks whether to cancel the run, elsewhere it cancels it; pressed again it leaves the run
// running.
int FollowRun(Api& api, const std::string& run, std::uint64_t after, const FollowOptions& options,
              SignalPipe& signals);

}  // namespace fabro::cli
