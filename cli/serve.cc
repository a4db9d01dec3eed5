#include "cli/serve.h"

#include <cstdio>
#include <utility>

#include "core/app/core_app.h"
#include "core/app/process.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/config/startable.h"
#include "gateway/app/gateway_app.h"

namespace fabro::cli {
namespace {

constexpr char kName[] = "fabro serve";
// What is being answered at that moment may finish; a stream's reader comes back with its last id.
constexpr std::chrono::seconds kGatewayGrace{2};

int Fail(const absl::Status& status, int exit_code) {
  log::Stop();
  app::PrintError(kName, status);
  return exit_code;
}

}  // namespace

int Serve(const ServeOptions& options) {
  app::PrepareProcess();
  config::Sources sources;
  sources.config_path = options.config_path;
  sources.overrides = options.overrides;
  sources.environment = config::Environment::FromProcess();
  absl::StatusOr<config::Loaded> loaded = config::Load(std::move(sources));
  if (!loaded.ok()) return Fail(loaded.status(), app::kExitUsage);
  const config::ServerConfig& config = loaded->config;
  absl::Status status = config::CheckStartable(config, config::Program::kServe);
  if (!status.ok()) return Fail(status, app::kExitUsage);

  log::Options log_options;
  log_options.level = config.log.level;
  log_options.format = config.log.format;
  status = log::Start(log_options);
  if (!status.ok()) return Fail(status, app::kExitFailed);
  for (const std::string& warning : loaded->warnings) log::Warn(warning);
  if (!config.api.authentication_strategies) {
    log::Warn("no authentication is configured: everyone on this machine may do everything",
              {{"as", "local"}});
  }

  Runtime runtime(Runtime::DefaultThreads());
  app::CoreOptions core_options;
  core_options.config = config;
  core_options.environment = loaded->environment;
  core_options.listens = false;
  const auto core = app::CoreApp::Start(runtime, std::move(core_options));
  if (!core.ok()) return Fail(core.status(), app::kExitFailed);
  const auto gateway = gateway::GatewayApp::Start((*core)->InProcessChannel(), gateway::OptionsOf(config));
  if (!gateway.ok()) return Fail(gateway.status(), app::kExitFailed);

  std::printf("Fabro is ready: %s\n", (*gateway)->base_url().c_str());
  std::fflush(stdout);
  log::Info("ready", {{"url", (*gateway)->base_url()},
                      {"host", config.api.host},
                      {"port", (*gateway)->port()},
                      {"storage", config.storage_dir},
                      {"slots", config.max_concurrent_runs}});
  app::StopOnSignal([&] {
    (*gateway)->Stop(kGatewayGrace);
    (*core)->Stop(config.stop_grace);
  });
  log::Info("stopped");
  log::Stop();
  return app::kExitOk;
}

}  // namespace fabro::cli
