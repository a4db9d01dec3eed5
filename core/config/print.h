// The effective configuration as text, secrets masked.
#pragma once

#include <string>

#include "core/config/keys.h"
#include "core/config/load.h"

namespace fabro::config {

// One value as TOML, masked if the key is secret.
std::string PrintValue(const Key& key, const Value& value);

// TOML that can be read back, with a comment where a value is not the default: `port = 4000  # --port`.
std::string PrintToml(const Loaded& loaded);
// {"file":...,"settings":{"api.port":4000,...},"origins":{...},"warnings":[...]}
std::string PrintJson(const Loaded& loaded);

}  // namespace fabro::config
