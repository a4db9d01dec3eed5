#include "core/sandbox/environment.h"

#include <algorithm>
#include <array>

#include "core/base/secret_names.h"

extern char** environ;

namespace fabro::sandbox {
namespace {

constexpr std::array<std::string_view, 8> kPassed = {"PATH", "HOME", "USER",   "SHELL",
                                                     "LANG", "TERM", "TMPDIR", "TZ"};

bool IsPassed(std::string_view name) {
  return std::find(kPassed.begin(), kPassed.end(), name) != kPassed.end() || name.starts_with("LC_");
}

void Set(Environment& env, std::string_view name, std::string_view value) {
  for (auto& [known, old] : env) {
    if (known == name) {
      old = value;
      return;
    }
  }
  env.emplace_back(name, value);
}

}  // namespace

Environment SafeEnvironment(const Environment& extra) {
  Environment env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(0, equals);
    if (IsPassed(name) && !IsSecretName(name)) Set(env, name, text.substr(equals + 1));
  }
  for (const auto& [name, value] : extra) {
    if (!IsSecretName(name)) Set(env, name, value);
  }
  return env;
}

}  // namespace fabro::sandbox
