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

// Serves until a signal stops it; returns the exit code.
int Serve(const ServeOptions& options);

}  // namespace fabro::cli
