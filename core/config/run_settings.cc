#include "core/config/run_settings.h"

#include <algorithm>

#include "core/config/server_config.h"

namespace fabro::config {
namespace {

SandboxProvider ProviderOf(const std::string& name) {
  if (name == "bubblewrap") return SandboxProvider::kBubblewrap;
  return name == "docker" ? SandboxProvider::kDocker : SandboxProvider::kLocal;
}

SandboxBounds BoundsOf(const std::string& network, std::int64_t memory_mb, std::int64_t max_processes,
                       std::int64_t cpu_seconds) {
  return {network == "allow", memory_mb << 20, max_processes, cpu_seconds};
}

}  // namespace

bool IsAllowed(const SandboxConfig& config, std::string_view provider) {
  const std::optional<StringList>& allowed = config.allowed_providers;
  return !allowed || std::find(allowed->begin(), allowed->end(), provider) != allowed->end();
}

SandboxSettings SandboxSettingsOf(const SandboxConfig& config) {
  SandboxSettings settings;
  settings.provider = ProviderOf(config.provider);
  settings.env = config.env;
  settings.bubblewrap = BoundsOf(config.bubblewrap_network, config.bubblewrap_memory_mb,
                                 config.bubblewrap_max_processes, config.bubblewrap_cpu_seconds);
  settings.docker = BoundsOf(config.docker_network, config.docker_memory_mb, config.docker_max_processes,
                             config.docker_cpu_seconds);
  settings.docker_image = config.docker_image;
  return settings;
}

}  // namespace fabro::config
