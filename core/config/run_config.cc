#include "core/config/run_config.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/hooks.h"
#include "core/config/toml_reader.h"

namespace fabro::config {
namespace {

constexpr std::int64_t kHuge = 1'000'000'000;
constexpr std::size_t kMostLabels = 64;
constexpr std::size_t kMostVars = 256;

struct RunKey {
  std::string_view name;
  std::string_view wanted;
  std::function<bool(RunConfig&, const Value&)> assign;  // false: it is not what is wanted
  bool is_secret = false;                                // never shown in a message
  bool holds_lists = false;
};

// A value kept as it is, in a member of its own type or an optional one.
template <typename T, typename At>
RunKey Plain(std::string_view name, std::string_view wanted, At at) {
  return {name, wanted, [at](RunConfig& config, const Value& value) {
            const T* typed = std::get_if<T>(&value);
            if (typed != nullptr) at(config) = *typed;
            return typed != nullptr;
          }};
}

template <typename At>
RunKey Text(std::string_view name, std::string_view wanted, std::size_t longest, At at) {
  return {name, wanted, [at, longest](RunConfig& config, const Value& value) {
            const std::string* text = std::get_if<std::string>(&value);
            if (text == nullptr || CountUtf8(*text) > longest) return false;
            at(config) = *text;
            return true;
          }};
}

template <typename At, typename To>
RunKey Number(std::string_view name, std::string_view wanted, std::int64_t least, std::int64_t most, At at,
              To to) {
  return {name, wanted, [at, to, least, most](RunConfig& config, const Value& value) {
            const std::int64_t* number = std::get_if<std::int64_t>(&value);
            if (number == nullptr || *number < least || *number > most) return false;
            at(config) = to(*number);
            return true;
          }};
}

template <typename T>
using Words = std::vector<std::pair<std::string_view, T>>;

template <typename T, typename At>
RunKey Word(std::string_view name, std::string_view wanted, Words<T> words, At at) {
  return {name, wanted, [at, words](RunConfig& config, const Value& value) {
            const std::string* text = std::get_if<std::string>(&value);
            for (const auto& [word, meaning] : words) {
              if (text == nullptr || *text != word) continue;
              at(config) = meaning;
              return true;
            }
            return false;
          }};
}

template <typename At>
RunKey Map(std::string_view name, std::string_view wanted, std::size_t most, At at) {
  return {name, wanted, [at, most](RunConfig& config, const Value& value) {
            const StringMap* map = std::get_if<StringMap>(&value);
            if (map == nullptr || map->size() > most) return false;
            at(config) = *map;
            return true;
          }};
}

bool IsIdentifier(std::string_view name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

RunKey Vars() {
  return {.name = "vars",
          .wanted = "a table of at most 256 texts, named by letters, digits and _",
          .assign =
              [](RunConfig& config, const Value& value) {
                const StringMap* map = std::get_if<StringMap>(&value);
                if (map == nullptr || map->size() > kMostVars) return false;
                for (const auto& [name, text] : *map) {
                  if (!IsIdentifier(name)) return false;
                }
                config.vars = *map;
                return true;
              },
          .is_secret = true};
}

RunKey Version() {
  return {"version", "1", [](RunConfig&, const Value& value) {
            const std::int64_t* number = std::get_if<std::int64_t>(&value);
            return number != nullptr && *number == 1;
          }};
}

RunKey Secret(RunKey key) {
  key.is_secret = true;
  return key;
}

#define AT(member) [](RunConfig& c) -> auto& { return c.member; }  // undefined again below

std::vector<RunKey> MakeKeys() {
  const std::string_view kTexts = "a list of texts";
  const std::string_view kLimit = "a whole number, 0 for no limit";
  const std::string_view kNetwork = "\"none\" or \"allow\"";
  const Words<bool> kNetworks = {{"none", false}, {"allow", true}};
  const auto same = [](std::int64_t number) { return number; };
  const auto megabytes = [](std::int64_t number) { return number << 20; };
  const auto small = [](std::int64_t number) { return static_cast<std::int32_t>(number); };
  const auto ms = [](std::int64_t number) { return std::chrono::milliseconds(number); };
  std::vector<RunKey> keys = {
      Version(),
      Text("graph", "the name of a file in the workflow's folder", 4096, AT(graph)),
      Text("goal", "a text", 65'536, AT(goal)),
      Text("title", "a text of at most 256 characters", 256, AT(title)),
      Text("description", "a text", 65'536, AT(description)),
      Map("labels", "a table of at most 64 texts", kMostLabels, AT(labels)),
      Number("priority", "a whole number from -100 to 100", -100, 100, AT(priority), small),
      Vars(),
      Text("work_dir", "a path", 4096, AT(settings.work_dir)),

      Text("llm.provider", "a text", 64, AT(settings.llm_provider)),
      Text("llm.model", "a text", 256, AT(settings.llm_model)),
      Plain<StringListMap>("llm.fallbacks", "a table of lists of texts", AT(settings.llm_fallbacks)),

      Word<SandboxProvider>("sandbox.provider", "\"local\", \"bubblewrap\" or \"docker\"",
                            {{"local", SandboxProvider::kLocal},
                             {"bubblewrap", SandboxProvider::kBubblewrap},
                             {"docker", SandboxProvider::kDocker}},
                            AT(settings.sandbox_provider)),
      Secret(Map("sandbox.env", "a table of at most 256 texts", kMostVars, AT(settings.sandbox_env))),
      Plain<bool>("sandbox.preserve", "true or false", AT(settings.preserve_sandbox)),
      Word<WorktreeMode>("sandbox.local.worktree_mode", "\"always\", \"clean\", \"dirty\" or \"never\"",
                         {{"always", WorktreeMode::kAlways},
                          {"clean", WorktreeMode::kClean},
                          {"dirty", WorktreeMode::kDirty},
                          {"never", WorktreeMode::kNever}},
                         AT(settings.worktree_mode)),
      Word<bool>("sandbox.bubblewrap.network", kNetwork, kNetworks, AT(settings.bubblewrap.network)),
      Number("sandbox.bubblewrap.memory_mb", kLimit, 0, kHuge, AT(settings.bubblewrap.memory_bytes),
             megabytes),
      Number("sandbox.bubblewrap.max_processes", kLimit, 0, kHuge, AT(settings.bubblewrap.max_processes),
             same),
      Number("sandbox.bubblewrap.cpu_seconds", kLimit, 0, kHuge, AT(settings.bubblewrap.cpu_seconds), same),
      Text("sandbox.docker.image", "a text", 512, AT(settings.docker_image)),
      Word<bool>("sandbox.docker.network", kNetwork, kNetworks, AT(settings.docker.network)),
      Number("sandbox.docker.memory_mb", kLimit, 0, kHuge, AT(settings.docker.memory_bytes), megabytes),
      Number("sandbox.docker.max_processes", kLimit, 0, kHuge, AT(settings.docker.max_processes), same),
      Number("sandbox.docker.cpu_seconds", kLimit, 0, kHuge, AT(settings.docker.cpu_seconds), same),

      Plain<StringList>("setup.commands", kTexts, AT(settings.setup_commands)),
      Number("setup.timeout_ms", "a whole number of milliseconds from 1 to 86400000", 1, 86'400'000,
             AT(settings.setup_timeout), ms),
      Plain<StringList>("checkpoint.exclude_globs", kTexts, AT(settings.checkpoint_exclude_globs)),
      Plain<StringList>("assets.include", kTexts, AT(settings.assets_include)),
      Plain<HookList>("hooks", "a list of tables", AT(settings.hooks)),
  };
  for (RunKey& key : keys) key.holds_lists = key.name == "llm.fallbacks";
  return keys;
}

#undef AT

const std::vector<RunKey>& RunKeys() {
  static const std::vector<RunKey>& keys =
      *new std::vector<RunKey>(MakeKeys());  // never destroyed: used at exit too
  return keys;
}

const RunKey* FindRunKey(std::string_view name) {
  for (const RunKey& key : RunKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

bool IsRunSection(std::string_view name) {
  return std::any_of(RunKeys().begin(), RunKeys().end(), [name](const RunKey& key) {
    return key.name.size() > name.size() && key.name.starts_with(name) && key.name[name.size()] == '.';
  });
}

std::string UnknownKey(const Setting& setting) {
  if (setting.key == "schedule" || setting.key.starts_with("schedule.")) {
    return StrCat(setting.where, ": ", setting.key,
                  " has no effect: this version starts no workflow by itself");
  }
  std::vector<std::string> names;
  for (const RunKey& key : RunKeys()) names.emplace_back(key.name);
  std::string text = StrCat(setting.where, ": ", setting.key, ": no such setting");
  if (const auto nearest = NearestWord(setting.key, names)) text += StrCat("; did you mean ", *nearest, "?");
  return text;
}

void Apply(const Setting& setting, RunConfigReading& reading) {
  const RunKey* key = FindRunKey(setting.key);
  if (key == nullptr && IsRunSection(setting.key)) {
    reading.errors.push_back(
        StrCat(setting.where, ": ", setting.key, ": must be a table, not ", setting.shown));
  } else if (key == nullptr) {
    reading.warnings.push_back(UnknownKey(setting));
  } else if (!setting.value || !key->assign(reading.config, *setting.value)) {
    reading.errors.push_back(StrCat(setting.where, ": ", setting.key, ": must be ", key->wanted,
                                    key->is_secret ? "" : StrCat(", not ", setting.shown)));
  }
}

}  // namespace

RunConfigReading ReadRunConfig(std::string_view text, std::string_view file) {
  RunConfigReading reading;
  const Schema schema{.is_key = [](std::string_view name) { return FindRunKey(name) != nullptr; },
                      .holds_lists = [](std::string_view name) { return FindRunKey(name)->holds_lists; }};
  const auto settings = ReadToml(text, file, schema);
  if (!settings.ok()) {
    reading.errors.push_back(MessageOf(settings.status()));
    return reading;
  }
  HookReader hooks;
  for (const Setting& setting : *settings) {
    if (setting.hook) {
      hooks.Take(setting, reading.errors, reading.warnings);
    } else {
      Apply(setting, reading);
    }
  }
  reading.config.settings.hooks = hooks.Finish(reading.errors);
  return reading;
}

}  // namespace fabro::config
