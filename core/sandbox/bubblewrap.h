// Commands inside namespaces that `bwrap` makes.
#pragma once

#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/config/run_settings.h"
#include "core/sandbox/host_command.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

struct BubblewrapOptions {
  HostOptions host;
  std::string search_path;          // where bwrap is looked for; empty: PATH
  std::vector<std::string> hidden;  // files and folders of the server, beside what is hidden of every host
  config::SandboxBounds bounds;
  Environment env;  // for every command
};

// Thread-safe. What a command sees of the host, and what is in force against it: README.md of this folder.
class BubblewrapSandbox final : public Sandbox {
 public:
  BubblewrapSandbox(BlockingPool& pool, BubblewrapOptions options);
  Task<absl::StatusOr<CommandResult>> Run(Command command, OutputSink* sink) override;

 private:
  BlockingPool& pool_;
  const BubblewrapOptions options_;
};

}  // namespace fabro::sandbox
