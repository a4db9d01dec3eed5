#include "core/base/secret_names.h"

#include <algorithm>
#include <array>

#include "core/base/strings.h"

namespace fabro {

bool IsSecretName(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kEndings = {"_api_key",     "_secret",     "_token",
                                                               "_password",    "_credential", "_credentials",
                                                               "_private_key", "_access_key", "database_url"};
  const std::string lower = ToLower(name);
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return lower.ends_with(ending); });
}

}  // namespace fabro
