// Which names say that a value is a secret.
#pragma once

#include <string_view>

namespace fabro {

// By its ending: *_API_KEY, *_SECRET, *_TOKEN, *_PASSWORD, *_CREDENTIAL(S), *_PRIVATE_KEY, *_ACCESS_KEY,
// *DATABASE_URL. Any case.
bool IsSecretName(std::string_view name);

}  // namespace fabro
