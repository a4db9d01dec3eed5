// A program of this host, run to its end: what every provider turns a command into.
#pragma once

#include <cstdint>
#include <optional>
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

// For all processes of a command together; 0: no limit.
struct HostLimits {
  std::int64_t memory_bytes = 0;
  std::int64_t processes = 0;
  std::int64_t cpu_seconds = 0;
};

struct HostCommand {
  std::vector<std::string> argv;
  Environment env;  // all of it
  std::string dir;  // where it starts
  std::chrono::milliseconds timeout{std::chrono::minutes(10)};
  std::string input;
  std::string note;  // read from descriptor 3; empty: there is none
  // For a program that makes a sandbox, whose first process is fabro-stage again (HelperInside).
  std::optional<HostLimits> watch;
};

std::string HelperPath(const HostOptions& options);

// What runs as the first process of a sandbox: it runs the command and ends it as on the host.
std::vector<std::string> HelperInside(const std::string& path, const HostOptions& options,
                                      const HostLimits& limits, const std::vector<std::string>& command);

// Sandbox::Run for a program of this host. Process creation runs on `pool`, whose threads must live as long
// as the commands: the helper dies with the thread that started it, so that no command outlives a killed
// server.
Task<absl::StatusOr<CommandResult>> RunOnHost(BlockingPool& pool, HostOptions options, HostCommand command,
                                              OutputSink* sink);

}  // namespace fabro::sandbox
