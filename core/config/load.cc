#include "core/config/load.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/hooks.h"
#include "core/config/keys.h"
#include "core/config/read_file.h"
#include "core/config/toml_reader.h"

namespace fabro::config {
namespace {

std::string ExpandHome(const std::string& path, std::string_view home) {
  if (home.empty() || path.empty() || path[0] != '~') return path;
  if (path.size() > 1 && path[1] != '/') return path;  // ~user is somebody's file name, not a promise of ours
  return StrCat(home, std::string_view(path).substr(1));
}

// "unix:~/x" and "sqlite:~/x" hold a path behind their scheme.
std::string ExpandHomeAfterScheme(const std::string& address, std::string_view home) {
  for (const std::string_view scheme : {"unix:", "sqlite:"}) {
    if (address.starts_with(scheme)) return StrCat(scheme, ExpandHome(address.substr(scheme.size()), home));
  }
  return address;
}

void ExpandPaths(ServerConfig& config, std::string_view home) {
  for (const Key& key : Keys()) {
    if (!key.is_path) continue;
    std::optional<Value> value = key.read(config);
    if (!value) continue;
    if (auto* path = std::get_if<std::string>(&*value)) *path = ExpandHome(*path, home);
    if (auto* paths = std::get_if<StringList>(&*value)) {
      for (std::string& path : *paths) path = ExpandHome(path, home);
    }
    key.assign(config, *value);
  }
  for (std::string* address : {&config.core.listen, &config.gateway.core, &config.storage_url}) {
    *address = ExpandHomeAfterScheme(*address, home);
  }
}

// The defaults that follow from other values.
void FillIn(ServerConfig& config) {
  const std::string& storage = config.storage_dir;
  if (config.core.listen.empty()) config.core.listen = StrCat("unix:", storage, "/core.sock");
  if (config.gateway.core.empty()) config.gateway.core = StrCat("unix:", storage, "/core.sock");
  if (config.storage_url.empty()) config.storage_url = StrCat("sqlite:", storage, "/fabro.db");
  if (config.workflow_dirs.empty())
    config.workflow_dirs = {StrCat(storage, "/workflows"), "./.fabro/workflows"};
  if (config.api.base_url.empty() && config.api.port != 0) {
    config.api.base_url = DefaultBaseUrl(config, config.api.port);
  }
  while (config.api.base_url.ends_with('/')) config.api.base_url.pop_back();
}

std::string UnknownKey(const Setting& setting) {
  std::string text = StrCat(setting.where, ": ", setting.key, ": no such setting");
  if (const auto nearest = NearestWord(setting.key, KeyNames()))
    text += StrCat("; did you mean ", *nearest, "?");
  return text;
}

// Takes values one by one and gathers what is wrong with them.
class Loader {
 public:
  explicit Loader(std::string home) : home_(std::move(home)) {}

  void Apply(const Setting& setting) {
    if (setting.hook) return hooks_.Take(setting, errors_, loaded_.warnings);
    const Key* key = FindKey(setting.key);
    if (key == nullptr) {
      if (IsSection(setting.key)) {
        errors_.push_back(StrCat(setting.where, ": ", setting.key, ": must be a table, not ", setting.shown));
      } else {
        loaded_.warnings.push_back(UnknownKey(setting));
      }
      return;
    }
    if (!setting.value || !key->assign(loaded_.config, *setting.value)) {
      errors_.push_back(StrCat(setting.where, ": ", setting.key, ": must be ", key->wanted,
                               key->is_secret ? "" : StrCat(", not ", setting.shown)));
      return;
    }
    if (!key->unbuilt.empty()) {
      loaded_.warnings.push_back(StrCat(setting.where, ": ", setting.key, " has no effect: ", key->unbuilt));
    }
    loaded_.origins[std::string(key->name)] = setting.where;
  }

  void ApplyText(const Override& override) {
    const Key* key = FindKey(override.key);
    FABRO_CHECK(key != nullptr);  // the caller's spelling, not the user's
    Apply({.key = override.key,
           .where = override.origin,
           .shown = StrCat("\"", override.text, "\""),
           .value = ValueFromText(*key, override.text)});
  }

  void ApplyToml(std::string_view text, std::string_view file) {
    auto settings = ReadToml(text, file);
    if (!settings.ok()) {
      errors_.push_back(MessageOf(settings.status()));
      return;
    }
    loaded_.file = file;
    bool old_name = false;  // the old name beside the new one: which is meant?
    for (const Setting& setting : *settings) {
      old_name = old_name || setting.key == "data_dir";
      if (old_name && setting.key == "storage_dir") {
        errors_.push_back(StrCat(setting.where, ": storage_dir: given twice, data_dir is its old name"));
        continue;
      }
      Apply(setting);
    }
    loaded_.config.hooks = hooks_.Finish(errors_);
  }

  // Where the second .env lies, once the file and the flags have been read.
  std::string storage_dir() const { return ExpandHome(loaded_.config.storage_dir, home_); }
  Loaded& loaded() { return loaded_; }

  absl::StatusOr<Loaded> Finish() {
    if (!errors_.empty()) {
      return InvalidArgument(Reason::kInvalidArgument, loaded_.file, Join(errors_, "\n"));
    }
    ExpandPaths(loaded_.config, home_);
    FillIn(loaded_.config);
    return std::move(loaded_);
  }

 private:
  const std::string home_;
  Loaded loaded_{.config = {.storage_dir = "~/.fabro"}};
  HookReader hooks_;
  std::vector<std::string> errors_;
};

absl::Status ApplyFile(Loader& loader, const Sources& sources, std::string_view home) {
  const std::optional<std::string> variable = sources.environment.FindNonEmpty("FABRO_CONFIG");
  const std::string path =
      ExpandHome(sources.config_path.value_or(variable.value_or("~/.fabro/server.toml")), home);
  loader.loaded().watched = path;
  auto text = ReadFile(path, kMaxFileBytes);
  if (text.ok()) {
    loader.ApplyToml(*text, path);
    return absl::OkStatus();
  }
  if (text.status().code() != absl::StatusCode::kNotFound) return text.status();
  if (sources.config_path) return text.status();
  if (variable)
    loader.loaded().warnings.push_back(StrCat("FABRO_CONFIG: ", path, " is not there; defaults hold"));
  return absl::OkStatus();
}

}  // namespace

std::string DefaultBaseUrl(const ServerConfig& config, int port) {
  return StrCat(config.api.tls.any() ? "https" : "http", "://localhost:", port);
}

absl::StatusOr<Loaded> Load(Sources sources) {
  std::vector<std::string> env_problems;
  sources.environment.AddFile(sources.working_dir, &env_problems);
  std::string home = sources.home;
  if (home.empty()) home = sources.environment.FindNonEmpty("HOME").value_or("");

  Loader loader(home);
  FABRO_RETURN_IF_ERROR(ApplyFile(loader, sources, home));
  for (const Override& override : sources.overrides) {
    if (override.key == "storage_dir") loader.ApplyText(override);
  }
  sources.environment.AddFile(loader.storage_dir(), &env_problems);
  if (const auto level = sources.environment.FindNonEmpty("FABRO_LOG")) {
    loader.ApplyText({"log.level", *level, "FABRO_LOG"});
  }
  for (const Override& override : sources.overrides) {
    if (override.key != "storage_dir") loader.ApplyText(override);
  }
  for (std::string& problem : env_problems) loader.loaded().warnings.push_back(std::move(problem));
  loader.loaded().environment = std::move(sources.environment);
  return loader.Finish();
}

absl::StatusOr<Loaded> LoadText(std::string_view toml, std::string_view file, std::string_view home) {
  Loader loader{std::string(home)};
  loader.ApplyToml(toml, file);
  return loader.Finish();
}

}  // namespace fabro::config
