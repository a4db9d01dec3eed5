#include "core/sandbox/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/base/secret_names.h"
#include "core/base/strings.h"

extern char** environ;

namespace fabro::sandbox {
namespace {

constexpr std::array<std::string_view, 3> kOfLanguage = {"LANG", "TERM", "TZ"};
constexpr std::array<std::string_view, 5> kOfHost = {"PATH", "HOME", "USER", "SHELL", "TMPDIR"};

bool IsOfLanguage(std::string_view name) {
  return std::ranges::find(kOfLanguage, name) != kOfLanguage.end() || name.starts_with("LC_");
}
bool IsPassed(std::string_view name) {
  return IsOfLanguage(name) || std::ranges::find(kOfHost, name) != kOfHost.end();
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

template <typename Predicate>
Environment Collect(Predicate passes, const Environment& extra) {
  Environment env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(0, equals);
    if (passes(name) && !IsSecretName(name)) Set(env, name, text.substr(equals + 1));
  }
  for (const auto& [name, value] : extra) {
    if (!IsSecretName(name)) Set(env, name, value);
  }
  return env;
}

}  // namespace

Environment SafeEnvironment(const Environment& extra) { return Collect(IsPassed, extra); }

Environment ContainerEnvironment(const Environment& extra) { return Collect(IsOfLanguage, extra); }

std::string FindProgram(const std::string& name, const std::string& search_path) {
  const char* path = std::getenv("PATH");
  const std::string folders = !search_path.empty() || path == nullptr ? search_path : path;
  for (const std::string_view folder : Split(folders, ':')) {
    const std::string file = StrCat(folder, '/', name);
    if (folder.starts_with('/') && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

}  // namespace fabro::sandbox
