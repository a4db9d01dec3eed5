// fabro-gateway: the HTTP server in front of a core.

#include <string>
#include <vector>

#include "core/app/begin.h"
#include "core/app/process.h"
#include "core/base/log.h"
#include "gateway/app/gateway_app.h"

namespace fabro {
namespace {

constexpr char kName[] = "fabro-gateway";

int Run(const std::vector<std::string>& args) {
  int exit_code = app::kExitOk;
  const auto live = app::BeginFromFlags(config::Program::kGateway, kName, args, &exit_code);
  if (live == nullptr) return exit_code;
  const auto channel = gateway::ChannelTo(live->config().gateway);
  if (!channel.ok()) return app::Fail(kName, channel.status());
  const auto gateway =
      gateway::GatewayApp::Start(*channel, gateway::OptionsOf(live->config(), live->environment()));
  if (!gateway.ok()) return app::Fail(kName, gateway.status());
  live->OnChange([&](const config::ServerConfig& changed) { (*gateway)->Apply(changed); });
  log::Info(
      "gateway ready",
      {{"url", (*gateway)->base_url()}, {"port", (*gateway)->port()}, {"core", live->config().gateway.core}});
  app::StopOnSignal(*live, [&] { (*gateway)->Stop(live->config().stop_grace); });
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
