#include "core/sandbox/local.h"

#include <utility>

#include "core/sandbox/environment.h"

namespace fabro::sandbox {

LocalSandbox::LocalSandbox(BlockingPool& pool, HostOptions options, Environment env)
    : pool_(pool), options_(std::move(options)), env_(std::move(env)) {}

Task<absl::StatusOr<CommandResult>> LocalSandbox::Run(Command command, OutputSink* sink) {
  Environment extra = env_;
  extra.insert(extra.end(), command.env.begin(), command.env.end());
  HostCommand host;
  host.argv = std::move(command.argv);
  host.env = SafeEnvironment(extra);
  host.dir = std::move(command.work_dir);
  host.timeout = command.timeout;
  host.input = std::move(command.input);
  co_return co_await RunOnHost(pool_, options_, std::move(host), sink);
}

}  // namespace fabro::sandbox
