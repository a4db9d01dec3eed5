// The command-line flags of the programs that serve, as one table, so that `fabro serve`, `fabro-core` and
// `fabro-gateway` spell them alike.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config/load.h"
#include "core/config/startable.h"

namespace fabro::config {

struct Flag {
  std::string_view name;   // "--port"
  std::string_view key;    // what it sets: "api.port"
  std::string_view fixed;  // a flag without a value sets this one
  std::string_view help;
};

// Without --config and --help, which every program has.
std::vector<Flag> FlagsOf(Program program);
std::string HelpFor(Program program, std::string_view program_name);

struct ParsedFlags {
  bool help = false;
  std::optional<std::string> config_path;
  std::vector<Override> overrides;
};

// "--port 4000" and "--port=4000" alike. InvalidArgument for an unknown flag (with the nearest known one), a
// missing value or a word that is no flag. `args` is without the program's name.
absl::StatusOr<ParsedFlags> ParseFlags(Program program, const std::vector<std::string>& args);

}  // namespace fabro::config
