// Which sandbox a run's commands run in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/config/run_settings.h"
#include "core/sandbox/host_command.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

struct SandboxesOptions {
  HostOptions host;
  Environment env;                  // the server's own, for every command; what a run's settings say wins
  std::string search_path;          // where bwrap, docker and podman are looked for; empty: PATH
  std::vector<std::string> hidden;  // files and folders of the server that no sandbox shows
};

// Thread-safe. Outlives the sandboxes it gives.
class Sandboxes {
 public:
  Sandboxes(BlockingPool& pool, SandboxesOptions options);

  // The sandbox that these settings ask for, never another: where it cannot be had, each Run fails with what
  // is missing and what to do. Cheap; make one for each command.
  std::unique_ptr<Sandbox> For(const config::SandboxSettings& settings);

 private:
  BlockingPool& pool_;
  const SandboxesOptions options_;
};

}  // namespace fabro::sandbox
