#include "core/sandbox/sandboxes.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/sandbox/bubblewrap.h"
#include "core/sandbox/local.h"

namespace fabro::sandbox {
namespace {

constexpr std::chrono::milliseconds kCheckTimeout = std::chrono::seconds(30);

}  // namespace

Sandboxes::Sandboxes(BlockingPool& pool, SandboxesOptions options)
    : pool_(pool),
      options_(std::move(options)),
      containers_(pool, options_.host, options_.search_path, options_.owner) {}

std::unique_ptr<Sandbox> Sandboxes::For(const config::SandboxSettings& settings) {
  Environment env(settings.env.begin(), settings.env.end());
  switch (settings.provider) {
    case config::SandboxProvider::kLocal:
      return std::make_unique<LocalSandbox>(pool_, options_.host, std::move(env));
    case config::SandboxProvider::kBubblewrap:
      return std::make_unique<BubblewrapSandbox>(
          pool_, BubblewrapOptions{options_.host, options_.search_path, options_.hidden, settings.bubblewrap,
                                   std::move(env)});
    case config::SandboxProvider::kDocker:
      break;
  }
  return std::make_unique<DockerSandbox>(
      pool_, containers_,
      DockerOptions{options_.host, settings.docker_image, settings.docker, std::move(env)});
}

Task<absl::Status> Sandboxes::Check(config::SandboxSettings settings, std::string work_dir) {
  if (settings.provider == config::SandboxProvider::kLocal) co_return absl::OkStatus();
  if (settings.provider == config::SandboxProvider::kDocker) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::string program, containers_.Program());
    co_return co_await containers_.RemoveLeftovers();
  }
  const std::unique_ptr<Sandbox> sandbox = For(settings);
  Command command;
  command.argv = {"true"};
  command.work_dir = std::move(work_dir);
  command.timeout = kCheckTimeout;
  const absl::StatusOr<CommandResult> ran = co_await sandbox->Run(std::move(command), nullptr);
  if (!ran.ok()) co_return ran.status();
  if (ran->end == CommandResult::End::kExited && ran->exit_code == 0) co_return absl::OkStatus();
  co_return FailedPrecondition(
      Reason::kUpstream, "bwrap",
      StrCat("the program `true` failed in the bubblewrap sandbox: ", Trim(ran->err)));
}

Task<absl::Status> Sandboxes::RemoveLeftovers() {
  if (!containers_.Program().ok()) co_return absl::OkStatus();
  co_return co_await containers_.RemoveLeftovers();
}

}  // namespace fabro::sandbox
