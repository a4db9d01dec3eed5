// Which variables of the server's own environment a command may see.
#pragma once

#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

// PATH HOME USER SHELL LANG LC_* TERM TMPDIR TZ of the process, then `extra` on top; never a secret's name.
Environment SafeEnvironment(const Environment& extra);

}  // namespace fabro::sandbox
