// The run configuration: what NAME.toml beside a workflow says of its runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/run_overrides.h"
#include "core/config/server_config.h"

namespace fabro::config {

struct RunConfig {
  std::string graph;  // the file that holds the workflow; empty: the one of the same name
  std::string title;  // of its runs
  std::string description;
  std::optional<std::string> goal;
  StringMap labels;
  std::optional<std::int32_t> priority;
  std::optional<StringMap> vars;  // declared: then a name without a value is an error
  RunOverrides settings;
};

struct RunConfigReading {
  RunConfig config;
  std::vector<std::string> errors;    // sentences that start with "file:line:column: "
  std::vector<std::string> warnings;  // so do these
};

// Every bad value is told of, not the first only; what is right is kept. `file` is for messages.
RunConfigReading ReadRunConfig(std::string_view text, std::string_view file);

}  // namespace fabro::config
