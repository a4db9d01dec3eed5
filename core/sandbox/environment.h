// Which variables of the server's own environment a command may see.
#pragma once

#include <string>

#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

// PATH HOME USER SHELL LANG LC_* TERM TMPDIR TZ of the process, then `extra` on top; never a secret's name.
Environment SafeEnvironment(const Environment& extra);

// The same for a place with its own programs and users: LANG LC_* TERM TZ only of the process.
Environment ContainerEnvironment(const Environment& extra);

// Where a program is, by the folders of `search_path` ("a:b"; empty: PATH of the process); empty: nowhere.
std::string FindProgram(const std::string& name, const std::string& search_path);

}  // namespace fabro::sandbox
