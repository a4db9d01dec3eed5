// `fabro serve`: the whole server in this process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/load.h"

namespace fabro::cli {

struct ServeOptions {
  std::optional<std::string> config_path;   // --config
  std::vector<config::Override> overrides;  // the other flags, for config::Load
};

// Whether the keys and certificates that the gateway needs are there and fit each other, as at its start.
absl::Status CheckServerFiles(const config::ServerConfig& config, const config::Environment& environment);

// Serves until a signal stops it; returns the exit code.
int Serve(const ServeOptions& options);

}  // namespace fabro::cli
