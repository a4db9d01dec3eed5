// Puts the configuration together: defaults, file, environment, flags, in this order of strength.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/config/environment.h"
#include "core/config/server_config.h"

namespace fabro::config {

inline constexpr std::size_t kMaxFileBytes = 1 << 20;

// One value that did not come from the file.
struct Override {
  std::string key;     // "api.port"
  std::string text;    // "4000"; lists separated by commas
  std::string origin;  // "--port", for messages
};

struct Sources {
  std::optional<std::string> config_path;  // --config; must exist then
  std::vector<Override> overrides;         // flags; a later one wins
  Environment environment;                 // Environment::FromProcess()
  std::string home;                        // what '~' stands for; HOME of the environment unless given
  std::string working_dir = ".";           // where the first .env is looked for
};

struct Loaded {
  ServerConfig config;
  Environment environment;                     // with both .env files
  std::string file;                            // what was read; empty: no file
  std::string watched;                         // where it was looked for
  std::vector<std::string> warnings;           // sentences, with "file:line:column: " where that is known
  std::map<std::string, std::string> origins;  // key -> "file:3", "--port", "FABRO_LOG"; absent: the default
};

// InvalidArgument with every bad value, one a line: "/etc/server.toml:3:8: api.port: must be ..., not ...".
// NotFound when config_path is not there. Reads at most the file and two .env files; blocking.
absl::StatusOr<Loaded> Load(Sources sources);

// The same for a text at hand and nothing else around: no files are read. `file` is for messages.
absl::StatusOr<Loaded> LoadText(std::string_view toml, std::string_view file, std::string_view home);

}  // namespace fabro::config
