// Commands in containers, by the command line of docker or podman.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/config/run_settings.h"
#include "core/sandbox/host_command.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

// The engine and the containers of one server in it. Thread-safe.
class Containers {
 public:
  // `owner` is the same for every server that may remove what an earlier one left: the storage directory.
  Containers(BlockingPool& pool, HostOptions host, std::string search_path, std::string owner);

  // The engine's program, docker or else podman; FailedPrecondition when neither is there.
  absl::StatusOr<std::string> Program() const;

  // A name that no other container has or had.
  std::string NewName(std::string_view label);
  const std::string& owner() const { return owner_; }

  // Ends and removes a container; fine when there is none of that name.
  Task<absl::Status> Remove(std::string name);

  // Ends and removes what servers that are gone have left. Once; later calls return at once.
  Task<absl::Status> RemoveLeftovers();

 private:
  Task<absl::StatusOr<std::string>> Call(std::vector<std::string> arguments);

  BlockingPool& pool_;
  const HostOptions host_;
  const std::string search_path_;
  const std::string owner_;
  const std::string prefix_;  // of the names that this server gives
  std::atomic<std::uint64_t> names_ = 0;
  std::atomic<bool> no_leftovers_ = false;
};

struct DockerOptions {
  HostOptions host;
  std::string image;
  config::SandboxBounds bounds;
  Environment env;  // for every command
};

// Thread-safe. The working directory is /workspace inside; see README.md of this folder.
class DockerSandbox final : public Sandbox {
 public:
  DockerSandbox(BlockingPool& pool, Containers& containers, DockerOptions options);
  Task<absl::StatusOr<CommandResult>> Run(Command command, OutputSink* sink) override;

 private:
  BlockingPool& pool_;
  Containers& containers_;
  const DockerOptions options_;
};

}  // namespace fabro::sandbox
