// Commands as plain processes on this host.
#pragma once

#include "core/async/blocking_pool.h"
#include "core/sandbox/host_command.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

// Thread-safe.
class LocalSandbox final : public Sandbox {
 public:
  LocalSandbox(BlockingPool& pool, HostOptions options, Environment env);  // `env` is for every command
  Task<absl::StatusOr<CommandResult>> Run(Command command, OutputSink* sink) override;

 private:
  BlockingPool& pool_;
  const HostOptions options_;
  const Environment env_;
};

}  // namespace fabro::sandbox
