// Which sandbox a run's commands run in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/config/run_settings.h"
#include "core/sandbox/docker.h"
#include "core/sandbox/host_command.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

struct SandboxesOptions {
  HostOptions host;
  std::string owner;                // the storage directory: whose containers may be removed
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

  // For the start of a server: what is wrong with the sandbox that these settings ask for, found out before a
  // stage does. Bubblewrap runs `true` in `work_dir`; docker must answer, its image is not fetched.
  Task<absl::Status> Check(config::SandboxSettings settings, std::string work_dir);

  // Removes the containers that an earlier server of the same storage directory has left, if there is an
  // engine. What runs in a container waits for this anyway.
  Task<absl::Status> RemoveLeftovers();

 private:
  BlockingPool& pool_;
  const SandboxesOptions options_;
  Containers containers_;
};

}  // namespace fabro::sandbox
