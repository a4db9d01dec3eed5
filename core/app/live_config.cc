#include "core/app/live_config.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/config/keys.h"
#include "core/config/print.h"

namespace fabro::app {
namespace {

std::string Shown(const config::Key& key, const std::optional<config::Value>& value) {
  return value ? config::PrintValue(key, *value) : "not set";
}

// The file's settings, but for those that are read at the start only: they stay as they are.
config::ServerConfig LivePartOf(const config::ServerConfig& in_force, const config::ServerConfig& file) {
  config::ServerConfig next = file;
  for (const config::Key& key : config::Keys()) {
    if (key.is_live) continue;
    if (const std::optional<config::Value> value = key.read(in_force)) key.assign(next, *value);
  }
  next.api.authentication_strategies = in_force.api.authentication_strategies;  // may be absent
  return next;
}

void StartLog(const config::LogConfig& config) {
  log::Options options;
  options.level = config.level;
  options.format = config.format;
  const absl::Status started = log::Start(std::move(options));
  if (!started.ok()) log::Error("the log cannot follow its settings", {{"error", started}});
}

}  // namespace

LiveConfig::LiveConfig(config::Program program, config::Sources sources, config::Loaded loaded)
    : program_(program),
      sources_(std::move(sources)),
      file_(std::move(loaded)),
      config_(file_.config),
      stamps_({file_.watched}) {}

void LiveConfig::OnChange(std::function<void(const config::ServerConfig&)> listener) {
  listeners_.push_back(std::move(listener));
}

void LiveConfig::Check() {
  if (stamps_.HaveChanged()) Reload();
}

void LiveConfig::Reload() {
  absl::StatusOr<config::Loaded> loaded = config::Load(sources_);
  absl::Status status = loaded.status();
  if (status.ok() && loaded->file.empty() && !file_.file.empty()) {
    status = NotFound(Reason::kNotFound, file_.file, StrCat(file_.file, " is not there"));
  }
  if (status.ok()) status = config::CheckStartable(loaded->config, program_);
  if (!status.ok()) {
    log::Error("the configuration is not taken; the settings in force stay", {{"error", status}});
    return;
  }
  for (const std::string& warning : loaded->warnings) log::Warn(warning);
  Take(*std::move(loaded));
}

void LiveConfig::Take(config::Loaded loaded) {
  config::ServerConfig next = LivePartOf(config_, loaded.config);
  const bool new_log = next.log.level != config_.log.level || next.log.format != config_.log.format;
  if (new_log) StartLog(next.log);
  for (const config::Key& key : config::Keys()) {
    const std::optional<config::Value> before = key.read(key.is_live ? config_ : file_.config);
    const std::optional<config::Value> now = key.read(loaded.config);
    if (before == now) continue;
    if (key.is_live) {
      log::Info("setting changed",
                {{"key", key.name}, {"from", Shown(key, before)}, {"to", Shown(key, now)}});
    } else {
      log::Warn("setting changed in the file; it counts from the next start on",
                {{"key", key.name}, {"from", Shown(key, before)}, {"to", Shown(key, now)}});
    }
  }
  config_ = std::move(next);
  file_ = std::move(loaded);
  for (const auto& listener : listeners_) listener(config_);
}

}  // namespace fabro::app
