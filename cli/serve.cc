#include "cli/serve.h"

#include <cstdio>
#include <utility>

#include "core/app/begin.h"
#include "core/app/core_app.h"
#include "core/app/process.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "gateway/app/gateway_app.h"

namespace fabro::cli {
namespace {

constexpr char kName[] = "fabro serve";
// What is being answered at that moment may finish; a stream's reader comes back with its last id.
constexpr std::chrono::seconds kGatewayGrace{2};

}  // namespace

absl::Status CheckServerFiles(const config::ServerConfig& config, const config::Environment& environment) {
  return gateway::GatewayApp::Check(gateway::OptionsOf(config, environment));
}

int Serve(const ServeOptions& options) {
  app::PrepareProcess();
  config::Sources sources;
  sources.config_path = options.config_path;
  sources.overrides = options.overrides;
  absl::Status status;
  const auto live = app::Begin(config::Program::kServe, std::move(sources), &status);
  if (live == nullptr) {
    app::PrintError(kName, status);
    return app::kExitUsage;
  }
  const config::ServerConfig& config = live->config();
  if (!config.api.authentication_strategies) {
    log::Warn("no authentication is configured: everyone on this machine may do everything",
              {{"as", "local"}});
  }

  const gateway::GatewayOptions gateway_options = gateway::OptionsOf(config, live->environment());
  status = gateway::GatewayApp::Check(gateway_options);  // before any run goes on
  if (!status.ok()) return app::Fail(kName, status);

  Runtime runtime(Runtime::DefaultThreads());
  app::CoreOptions core_options;
  core_options.config = config;
  core_options.environment = live->environment();
  core_options.config_file = live->file();
  core_options.listens = false;
  const auto core = app::CoreApp::Start(runtime, std::move(core_options));
  if (!core.ok()) return app::Fail(kName, core.status());
  const auto gateway = gateway::GatewayApp::Start((*core)->InProcessChannel(), gateway_options);
  if (!gateway.ok()) return app::Fail(kName, gateway.status());
  live->OnChange([&](const config::ServerConfig& changed) {
    (*core)->Apply(changed);
    (*gateway)->Apply(changed);
  });

  std::printf("Fabro is ready: %s\n", (*gateway)->base_url().c_str());
  std::fflush(stdout);
  log::Info("ready", {{"url", (*gateway)->base_url()},
                      {"host", config.api.host},
                      {"port", (*gateway)->port()},
                      {"storage", config.storage_dir},
                      {"slots", config.max_concurrent_runs}});
  app::StopOnSignal(*live, [&] {
    (*gateway)->Stop(kGatewayGrace);
    (*core)->Stop(config.stop_grace);
  });
  log::Info("stopped");
  log::Stop();
  return app::kExitOk;
}

}  // namespace fabro::cli
