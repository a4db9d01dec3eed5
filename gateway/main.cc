// fabro-gateway: the HTTP server in front of a core.

#include <cstdio>
#include <string>
#include <vector>

#include "core/app/process.h"
#include "core/base/log.h"
#include "core/config/flags.h"
#include "core/config/load.h"
#include "core/config/startable.h"
#include "gateway/app/gateway_app.h"

namespace fabro {
namespace {

constexpr char kName[] = "fabro-gateway";

int Run(const std::vector<std::string>& args) {
  const absl::StatusOr<config::ParsedFlags> flags = config::ParseFlags(config::Program::kGateway, args);
  if (!flags.ok()) {
    app::PrintError(kName, flags.status());
    return app::kExitUsage;
  }
  if (flags->help) {
    std::fputs(config::HelpFor(config::Program::kGateway, kName).c_str(), stdout);
    return app::kExitOk;
  }
  config::Sources sources;
  sources.config_path = flags->config_path;
  sources.overrides = flags->overrides;
  sources.environment = config::Environment::FromProcess();
  const absl::StatusOr<config::Loaded> loaded = config::Load(std::move(sources));
  absl::Status status = loaded.status();
  if (status.ok()) status = config::CheckStartable(loaded->config, config::Program::kGateway);
  if (!status.ok()) {
    app::PrintError(kName, status);
    return app::kExitUsage;
  }
  log::Options log_options;
  log_options.level = loaded->config.log.level;
  log_options.format = loaded->config.log.format;
  status = log::Start(log_options);
  for (const std::string& warning : loaded->warnings) log::Warn(warning);

  const std::string& core = loaded->config.gateway.core;
  const auto channel = gateway::ChannelTo(loaded->config.gateway);
  if (!channel.ok()) {
    app::PrintError(kName, channel.status());
    return app::kExitUsage;
  }
  const auto gateway = gateway::GatewayApp::Start(*channel, gateway::OptionsOf(loaded->config));
  if (!gateway.ok()) {
    app::PrintError(kName, gateway.status());
    return app::kExitFailed;
  }
  log::Info("gateway ready", {{"url", (*gateway)->base_url()}, {"port", (*gateway)->port()}, {"core", core}});
  app::StopOnSignal([&] { (*gateway)->Stop(loaded->config.stop_grace); });
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
