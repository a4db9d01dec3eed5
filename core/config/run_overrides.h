// How the settings of a run come together: each source says what it wants to be otherwise, and the later
// source is the stronger.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/run_settings.h"
#include "core/config/server_config.h"

namespace fabro::config {

struct BoundsOverrides {
  std::optional<bool> network;
  std::optional<std::int64_t> memory_bytes;
  std::optional<std::int64_t> max_processes;
  std::optional<std::int64_t> cpu_seconds;

  bool operator==(const BoundsOverrides&) const = default;
};

// What one source says of a run's settings; what is absent or empty, it does not say.
struct RunOverrides {
  std::optional<std::string> work_dir;
  std::optional<SandboxProvider> sandbox_provider;
  std::map<std::string, std::string> sandbox_env;
  BoundsOverrides bubblewrap;
  BoundsOverrides docker;
  std::optional<std::string> docker_image;
  std::optional<WorktreeMode> worktree_mode;
  std::optional<bool> preserve_sandbox;
  std::optional<std::vector<std::string>> setup_commands;
  std::optional<std::chrono::milliseconds> setup_timeout;
  std::vector<Hook> hooks;
  std::optional<std::vector<std::string>> checkpoint_exclude_globs;
  std::optional<std::vector<std::string>> assets_include;
  std::optional<std::string> llm_provider;
  std::optional<std::string> llm_model;
  std::map<std::string, std::vector<std::string>> llm_fallbacks;

  bool operator==(const RunOverrides&) const = default;
};

// What every run gets unless it says otherwise.
RunSettings RunSettingsOf(const ServerConfig& config);

// What `over` says takes the place of what is there; maps are put together by key, hooks come after the
// others.
RunSettings Overlay(RunSettings settings, const RunOverrides& over);

}  // namespace fabro::config
