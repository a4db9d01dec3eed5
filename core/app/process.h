// What a serving program does around its parts: signals, and the end.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace fabro::app {

enum ExitCode : int { kExitOk = 0, kExitFailed = 1, kExitUsage = 2 };

// Blocks SIGTERM, SIGINT and SIGHUP for the calling thread and all it starts later, ignores SIGPIPE. Call it
// first in main, so that only StopOnSignal takes them. Also switches off what debugging aids of libraries
// cost, lets gRPC write to our log, and closes the process to others of the same user.
void PrepareProcess();

// Lets the process open as many descriptors as it may, and gives their number: the usual 1,024 are fewer than
// the connections that we promise.
std::uint64_t RaiseDescriptorLimit();

class LiveConfig;

// Lets `live` look at its file every second (SIGHUP: read it at once) until SIGTERM or SIGINT comes, then
// runs `stop` while it goes on listening: another such signal ends the process at once, with code 1; nothing
// is lost by that, since whatever a client was told is durable.
void StopOnSignal(LiveConfig& live, const std::function<void()>& stop);

// "fabro-core: message" on standard error.
void PrintError(std::string_view program, const absl::Status& status);

// Ends the log, prints the error, and gives the exit code: of a program that began well and could not start.
int Fail(std::string_view program, const absl::Status& status);

}  // namespace fabro::app
