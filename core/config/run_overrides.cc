#include "core/config/run_overrides.h"

namespace fabro::config {
namespace {

template <typename T>
void Take(T& value, const std::optional<T>& over) {
  if (over) value = *over;
}

template <typename T>
void Take(std::map<std::string, T>& values, const std::map<std::string, T>& over) {
  for (const auto& [name, value] : over) values[name] = value;
}

void Take(SandboxBounds& bounds, const BoundsOverrides& over) {
  Take(bounds.network, over.network);
  Take(bounds.memory_bytes, over.memory_bytes);
  Take(bounds.max_processes, over.max_processes);
  Take(bounds.cpu_seconds, over.cpu_seconds);
}

}  // namespace

RunSettings RunSettingsOf(const ServerConfig& config) {
  RunSettings settings;
  settings.sandbox = SandboxSettingsOf(config.sandbox);
  settings.setup_commands = config.setup_commands;
  if (config.setup_timeout_ms > 0)
    settings.setup_timeout = std::chrono::milliseconds(config.setup_timeout_ms);
  settings.hooks = config.hooks;
  settings.checkpoint_exclude_globs = config.checkpoint_exclude_globs;
  settings.assets_include = config.assets_include;
  settings.llm_provider = config.llm.provider;
  settings.llm_model = config.llm.model;
  settings.llm_fallbacks = config.llm.fallbacks;
  return settings;
}

RunSettings Overlay(RunSettings settings, const RunOverrides& over) {
  Take(settings.work_dir, over.work_dir);
  Take(settings.sandbox.provider, over.sandbox_provider);
  Take(settings.sandbox.env, over.sandbox_env);
  Take(settings.sandbox.bubblewrap, over.bubblewrap);
  Take(settings.sandbox.docker, over.docker);
  Take(settings.sandbox.docker_image, over.docker_image);
  Take(settings.sandbox.worktree_mode, over.worktree_mode);
  Take(settings.sandbox.preserve, over.preserve_sandbox);
  Take(settings.setup_commands, over.setup_commands);
  Take(settings.setup_timeout, over.setup_timeout);
  settings.hooks.insert(settings.hooks.end(), over.hooks.begin(), over.hooks.end());
  Take(settings.checkpoint_exclude_globs, over.checkpoint_exclude_globs);
  Take(settings.assets_include, over.assets_include);
  Take(settings.llm_provider, over.llm_provider);
  Take(settings.llm_model, over.llm_model);
  Take(settings.llm_fallbacks, over.llm_fallbacks);
  return settings;
}

}  // namespace fabro::config
