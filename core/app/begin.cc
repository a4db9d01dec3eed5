#include "core/app/begin.h"

#include <cstdint>
#include <cstdio>
#include <utility>

#include "core/app/process.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/config/flags.h"

namespace fabro::app {

namespace {

// Beside its connections a server has files, threads' wake-ups, and the pipes of its stages.
constexpr std::int64_t kOtherDescriptors = 200;

void RaiseLimits(config::Program program, const config::ServerConfig& config) {
  const auto may = static_cast<std::int64_t>(RaiseDescriptorLimit());
  const std::int64_t wanted = config.limits.max_connections + kOtherDescriptors;
  if (program == config::Program::kCore || may >= wanted) return;
  log::Warn(StrCat("only ", may, " descriptors may be open, too few for limits.max_connections = ",
                   config.limits.max_connections, ": raise the hard limit to ", wanted,
                   " or more (ulimit -n, LimitNOFILE=), or lower that setting"));
}

}  // namespace

std::unique_ptr<LiveConfig> Begin(config::Program program, config::Sources sources, absl::Status* status) {
  sources.environment = config::Environment::FromProcess();
  absl::StatusOr<config::Loaded> loaded = config::Load(sources);
  *status = loaded.status();
  if (status->ok()) *status = config::CheckStartable(loaded->config, program);
  if (!status->ok()) return nullptr;
  log::Options options;
  options.level = loaded->config.log.level;
  options.format = loaded->config.log.format;
  *status = log::Start(std::move(options));
  if (!status->ok()) return nullptr;
  for (const std::string& warning : loaded->warnings) log::Warn(warning);
  RaiseLimits(program, loaded->config);
  return std::make_unique<LiveConfig>(program, std::move(sources), *std::move(loaded));
}

std::unique_ptr<LiveConfig> BeginFromFlags(config::Program program, const char* name,
                                           const std::vector<std::string>& args, int* exit_code) {
  absl::StatusOr<config::ParsedFlags> flags = config::ParseFlags(program, args);
  absl::Status status = flags.status();
  std::unique_ptr<LiveConfig> begun;
  if (status.ok() && flags->help) {
    std::fputs(config::HelpFor(program, name).c_str(), stdout);
    *exit_code = kExitOk;
    return nullptr;
  }
  if (status.ok()) {
    config::Sources sources;
    sources.config_path = std::move(flags->config_path);
    sources.overrides = std::move(flags->overrides);
    begun = Begin(program, std::move(sources), &status);
  }
  if (begun == nullptr) {
    PrintError(name, status);
    *exit_code = kExitUsage;
  }
  return begun;
}

}  // namespace fabro::app
