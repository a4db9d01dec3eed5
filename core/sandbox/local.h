// Commands as plain processes on this host.
#pragma once

#include <string>

#include "core/async/blocking_pool.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

struct LocalOptions {
  std::string stage_helper;  // path of fabro-stage; empty: beside the running program
  std::chrono::milliseconds grace{std::chrono::seconds(5)};  // from SIGTERM to SIGKILL
  std::size_t max_output_bytes = std::size_t{10} << 20;      // kept, for each stream
  Environment env;                                           // for every command
};

// Thread-safe. Process creation runs on `pool`, whose threads must live as long as the commands: the helper
// dies with the thread that started it, so that no command outlives a killed server.
class LocalSandbox final : public Sandbox {
 public:
  LocalSandbox(BlockingPool& pool, LocalOptions options);
  Task<absl::StatusOr<CommandResult>> Run(Command command, OutputSink* sink) override;

 private:
  BlockingPool& pool_;
  const LocalOptions options_;
};

}  // namespace fabro::sandbox
