// Which variables of the server's own environment a command may see.
#pragma once

#include <string_view>

#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

// A name that by its ending holds a secret: *_API_KEY, *_SECRET, *_TOKEN, *_PASSWORD, *_CREDENTIAL(S),
// *_PRIVATE_KEY,
// *_ACCESS_KEY, *DATABASE_URL. Any case.
bool IsSecretName(std::string_view name);

// PATH HOME USER SHELL LANG LC_* TERM TMPDIR TZ of the process, then `extra` on top; never a secret's name.
Environment SafeEnvironment(const Environment& extra);

}  // namespace fabro::sandbox
