// fabro-core: the gRPC server that owns runs and sessions.

#include <cstdio>
#include <string>
#include <vector>

#include "core/app/core_app.h"
#include "core/app/process.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/config/flags.h"
#include "core/config/load.h"
#include "core/config/startable.h"

namespace fabro {
namespace {

constexpr char kName[] = "fabro-core";

int Run(const std::vector<std::string>& args) {
  const absl::StatusOr<config::ParsedFlags> flags = config::ParseFlags(config::Program::kCore, args);
  if (!flags.ok()) {
    app::PrintError(kName, flags.status());
    return app::kExitUsage;
  }
  if (flags->help) {
    std::fputs(config::HelpFor(config::Program::kCore, kName).c_str(), stdout);
    return app::kExitOk;
  }
  config::Sources sources;
  sources.config_path = flags->config_path;
  sources.overrides = flags->overrides;
  sources.environment = config::Environment::FromProcess();
  absl::StatusOr<config::Loaded> loaded = config::Load(std::move(sources));
  absl::Status status = loaded.status();
  if (status.ok()) status = config::CheckStartable(loaded->config, config::Program::kCore);
  if (!status.ok()) {
    app::PrintError(kName, status);
    return app::kExitUsage;
  }
  log::Options log_options;
  log_options.level = loaded->config.log.level;
  log_options.format = loaded->config.log.format;
  status = log::Start(log_options);
  for (const std::string& warning : loaded->warnings) log::Warn(warning);

  Runtime runtime(Runtime::DefaultThreads());
  app::CoreOptions options;
  options.config = loaded->config;
  options.environment = loaded->environment;
  const auto core = app::CoreApp::Start(runtime, std::move(options));
  if (!core.ok()) {
    app::PrintError(kName, core.status());
    return app::kExitFailed;
  }
  log::Info("core ready", {{"address", (*core)->address()}, {"storage", loaded->config.storage_dir}});
  app::StopOnSignal([&] { (*core)->Stop(loaded->config.stop_grace); });
  log::Info("stopped");
  log::Stop();
  return app::kExitOk;
}

}  // namespace
}  // namespace fabro

int main(int argc, char** argv) {
  fabro::app::PrepareProcess();
  return fabro::Run(std::vector<std::string>(argv + 1, argv + argc));
}
