// A program of this host, run to its end: what every provider turns a command into.
#pragma once

#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

struct HostOptions {
  std::string stage_helper;  // path of fabro-stage; empty: beside the running program
  std::chrono::milliseconds grace{std::chrono::seconds(5)};  // from SIGTERM to SIGKILL
  std::size_t max_output_bytes = std::size_t{10} << 20;      // kept, for each stream
};

struct HostCommand {
  std::vector<std::string> argv;
  Environment env;  // all of it
  std::string dir;  // where it starts
  std::chrono::milliseconds timeout{std::chrono::minutes(10)};
  std::string input;
};

// Sandbox::Run for a program of this host. Process creation runs on `pool`, whose threads must live as long
// as the commands: the helper dies with the thread that started it, so that no command outlives a killed
// server.
Task<absl::StatusOr<CommandResult>> RunOnHost(BlockingPool& pool, HostOptions options, HostCommand command,
                                              OutputSink* sink);

}  // namespace fabro::sandbox
