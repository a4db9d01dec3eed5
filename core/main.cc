// fabro-core: the gRPC server that owns runs and sessions.

#include <string>
#include <vector>

#include "core/app/begin.h"
#include "core/app/core_app.h"
#include "core/app/process.h"
#include "core/base/log.h"

namespace fabro {
namespace {

constexpr char kName[] = "fabro-core";

int Run(const std::vector<std::string>& args) {
  int exit_code = app::kExitOk;
  const auto live = app::BeginFromFlags(config::Program::kCore, kName, args, &exit_code);
  if (live == nullptr) return exit_code;
  Runtime runtime(Runtime::DefaultThreads());
  app::CoreOptions options;
  options.config = live->config();
  options.environment = live->environment();
  options.config_file = live->file();
  const auto core = app::CoreApp::Start(runtime, std::move(options));
  if (!core.ok()) return app::Fail(kName, core.status());
  live->OnChange([&](const config::ServerConfig& config) { (*core)->Apply(config); });
  log::Info("core ready", {{"address", (*core)->address()}, {"storage", live->config().storage_dir}});
  app::StopOnSignal(*live, [&] { (*core)->Stop(live->config().stop_grace); });
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
