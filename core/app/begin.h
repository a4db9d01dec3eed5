// How every serving program begins.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/app/live_config.h"

namespace fabro::app {

// Reads the configuration, refuses what must not be started, starts the log and writes the warnings there.
// Null: `status` says what is wrong; log::Stop() is not needed then.
std::unique_ptr<LiveConfig> Begin(config::Program program, config::Sources sources, absl::Status* status);

// The same from a command line, `args` without the program's name. Null: everything has been said (also
// --help), and `exit_code` is to be returned.
std::unique_ptr<LiveConfig> BeginFromFlags(config::Program program, const char* name,
                                           const std::vector<std::string>& args, int* exit_code);

}  // namespace fabro::app
