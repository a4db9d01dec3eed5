#include "core/sandbox/sandboxes.h"

#include <utility>

#include "core/base/error.h"
#include "core/sandbox/bubblewrap.h"
#include "core/sandbox/local.h"

namespace fabro::sandbox {
namespace {

// Stands for a sandbox that cannot be had.
class NoSandbox final : public Sandbox {
 public:
  explicit NoSandbox(absl::Status why) : why_(std::move(why)) {}
  Task<absl::StatusOr<CommandResult>> Run(Command, OutputSink*) override { co_return why_; }

 private:
  const absl::Status why_;
};

}  // namespace

Sandboxes::Sandboxes(BlockingPool& pool, SandboxesOptions options)
    : pool_(pool), options_(std::move(options)) {}

std::unique_ptr<Sandbox> Sandboxes::For(const config::SandboxSettings& settings) {
  Environment env = options_.env;
  env.insert(env.end(), settings.env.begin(), settings.env.end());
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
  return std::make_unique<NoSandbox>(
      FailedPrecondition(Reason::kInvalidArgument, "sandbox.provider",
                         "this server runs commands on the host only: set sandbox.provider to \"local\""));
}

}  // namespace fabro::sandbox
