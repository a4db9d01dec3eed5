#include "core/config/keys.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/base/strings.h"
#include "core/config/duration.h"

namespace fabro::config {
namespace {

// A key kept as it stands in a member of the value's own type. `at` gives the member.
template <typename At>
Key Plain(std::string_view name, std::string_view wanted, At at) {
  using Member = std::remove_cvref_t<decltype(at(std::declval<ServerConfig&>()))>;
  return {.name = name,
          .wanted = wanted,
          .assign =
              [at](ServerConfig& config, const Value& value) {
                const Member* member = std::get_if<Member>(&value);
                if (member != nullptr) at(config) = *member;
                return member != nullptr;
              },
          .read = [at](const ServerConfig& config) { return Value(at(const_cast<ServerConfig&>(config))); }};
}

template <typename At>
Key Text(std::string_view name, At at) {
  return Plain(name, "a text", at);
}

template <typename At>
Key Path(std::string_view name, At at) {
  Key key = Plain(name, "a path", at);
  key.is_path = true;
  return key;
}

template <typename At>
Key Number(std::string_view name, std::string_view wanted, std::int64_t least, std::int64_t most, At at) {
  using Member = std::remove_cvref_t<decltype(at(std::declval<ServerConfig&>()))>;
  Key key{.name = name, .wanted = wanted};
  key.assign = [at, least, most](ServerConfig& config, const Value& value) {
    const std::int64_t* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr || *number < least || *number > most) return false;
    at(config) = static_cast<Member>(*number);
    return true;
  };
  key.read = [at](const ServerConfig& config) {
    return Value(static_cast<std::int64_t>(at(const_cast<ServerConfig&>(config))));
  };
  return key;
}

// A text of which only some words are right; `parse` and `print` are inverse.
template <typename At, typename Parse, typename Print>
Key Word(std::string_view name, std::string_view wanted, At at, Parse parse, Print print) {
  Key key{.name = name, .wanted = wanted};
  key.assign = [at, parse](ServerConfig& config, const Value& value) {
    const std::string* text = std::get_if<std::string>(&value);
    if (text == nullptr) return false;
    const auto parsed = parse(*text);
    if (!parsed) return false;
    at(config) = *parsed;
    return true;
  };
  key.read = [at, print](const ServerConfig& config) {
    return Value(std::string(print(at(const_cast<ServerConfig&>(config)))));
  };
  return key;
}

template <typename At>
Key OneOf(std::string_view name, std::string_view wanted, StringList words, At at) {
  auto parse = [words](const std::string& text) {
    return std::find(words.begin(), words.end(), text) != words.end() ? std::optional(text) : std::nullopt;
  };
  return Word(name, wanted, at, parse, [](const std::string& text) { return text; });
}

// Both published forms arrive as a list of words; "Jwt" is the spelling of the tables.
Key Strategies() {
  Key key{.name = "api.authentication_strategies",
          .wanted = "a list of \"jwt\" and \"mtls\", each at most once"};
  key.assign = [](ServerConfig& config, const Value& value) {
    const StringList* words = std::get_if<StringList>(&value);
    if (words == nullptr) return false;
    std::vector<AuthStrategy> strategies;
    for (const std::string& word : *words) {
      const bool jwt = EqualsIgnoreCase(word, "jwt");
      if (!jwt && !EqualsIgnoreCase(word, "mtls")) return false;
      const AuthStrategy strategy = jwt ? AuthStrategy::kJwt : AuthStrategy::kMtls;
      if (std::find(strategies.begin(), strategies.end(), strategy) != strategies.end()) return false;
      strategies.push_back(strategy);
    }
    config.api.authentication_strategies = std::move(strategies);
    return true;
  };
  key.read = [](const ServerConfig& config) -> std::optional<Value> {
    if (!config.api.authentication_strategies) return std::nullopt;
    StringList words;
    for (const AuthStrategy strategy : *config.api.authentication_strategies) {
      words.emplace_back(strategy == AuthStrategy::kJwt ? "jwt" : "mtls");
    }
    return words;
  };
  return key;
}

// A list of names; absent and empty differ.
template <typename At>
Key OptionalList(std::string_view name, std::string_view wanted, At at) {
  Key key{.name = name, .wanted = wanted};
  key.assign = [at](ServerConfig& config, const Value& value) {
    const StringList* words = std::get_if<StringList>(&value);
    if (words != nullptr) at(config) = *words;
    return words != nullptr;
  };
  key.read = [at](const ServerConfig& config) -> std::optional<Value> {
    const std::optional<StringList>& words = at(const_cast<ServerConfig&>(config));
    if (!words) return std::nullopt;
    return *words;
  };
  return key;
}

Key AllowedProviders() {
  Key key{.name = "sandbox.allowed_providers",
          .wanted = "a list of at least one of \"local\", \"bubblewrap\" and \"docker\""};
  key.assign = [](ServerConfig& config, const Value& value) {
    const StringList* words = std::get_if<StringList>(&value);
    const auto known = [](const std::string& word) {
      return word == "local" || word == "bubblewrap" || word == "docker";
    };
    if (words == nullptr || words->empty() || !std::all_of(words->begin(), words->end(), known)) return false;
    config.sandbox.allowed_providers = *words;
    return true;
  };
  key.read = [](const ServerConfig& config) -> std::optional<Value> {
    if (!config.sandbox.allowed_providers) return std::nullopt;
    return *config.sandbox.allowed_providers;
  };
  return key;
}

Key Live(Key key) {
  key.is_live = true;
  return key;
}
Key Secret(Key key) {
  key.is_secret = true;
  return key;
}
Key Unbuilt(std::string_view instead, Key key) {
  key.unbuilt = instead;
  return key;
}

#define AT(member) [](ServerConfig& c) -> auto& { return c.member; }  // undefined again below

std::vector<Key> MakeKeys() {
  constexpr std::int64_t kHuge = 1'000'000'000;
  const std::string_view kNoModels = "this version calls no models";
  const std::string_view kNoUsers = "this version signs nobody in";
  const std::string_view kNames = "a list of names: \"alice\", or \"cn:NAME\" for a certificate's holder";
  const std::string_view kLimit = "a whole number, 0 for no limit";
  return {
      Path("storage_dir", AT(storage_dir)),
      Live(Number("max_concurrent_runs", "a whole number from 1 to 10000", 1, 10'000,
                  AT(max_concurrent_runs))),
      Word("stop_grace", "a duration such as \"30s\"", AT(stop_grace), ParseDuration, FormatDuration),

      Plain("api.host", "a host name or an address", AT(api.host)),
      Number("api.port", "a whole number from 0 to 65535", 0, 65'535, AT(api.port)),
      Text("api.base_url", AT(api.base_url)),
      Strategies(),
      Path("api.tls.cert", AT(api.tls.cert)),
      Path("api.tls.key", AT(api.tls.key)),
      Path("api.tls.ca", AT(api.tls.ca)),
      Plain("api.cors_origins", "a list of texts", AT(api.cors_origins)),

      Unbuilt(kNoUsers, Text("web.url", AT(web.url))),
      Live(Plain("web.auth.allowed_usernames", "a list of texts", AT(web.allowed_usernames))),
      Unbuilt(kNoUsers, Text("web.auth.provider", AT(web.provider))),

      Plain("core.listen", "\"unix:PATH\" or \"HOST:PORT\"", AT(core.listen)),
      OneOf("core.socket_mode", "\"0600\" or \"0660\"", {"0600", "0660"}, AT(core.socket_mode)),
      Path("core.tls.cert", AT(core.tls.cert)),
      Path("core.tls.key", AT(core.tls.key)),
      Path("core.tls.ca", AT(core.tls.ca)),
      Plain("core.trusted_gateways", "a list of common names", AT(core.trusted_gateways)),

      Plain("gateway.core", "\"unix:PATH\" or \"HOST:PORT\"", AT(gateway.core)),
      Path("gateway.tls.cert", AT(gateway.tls.cert)),
      Path("gateway.tls.key", AT(gateway.tls.key)),
      Path("gateway.tls.ca", AT(gateway.tls.ca)),

      Secret(Text("storage.url", AT(storage_url))),

      Live(Unbuilt(kNoModels, Text("llm.provider", AT(llm.provider)))),
      Live(Unbuilt(kNoModels, Text("llm.model", AT(llm.model)))),
      Live(Unbuilt(kNoModels, Plain("llm.fallbacks", "a table of lists of texts", AT(llm.fallbacks)))),
      Live(Unbuilt(kNoModels, Plain("llm.dry_run", "true or false", AT(llm.dry_run)))),

      Live(OneOf("sandbox.provider", "\"local\", \"bubblewrap\" or \"docker\"",
                 {"local", "bubblewrap", "docker"}, AT(sandbox.provider))),
      Live(AllowedProviders()),
      Live(Secret(Plain("sandbox.env", "a table of texts", AT(sandbox.env)))),
      Live(OneOf("sandbox.bubblewrap.network", "\"none\" or \"allow\"", {"none", "allow"},
                 AT(sandbox.bubblewrap_network))),
      Live(Number("sandbox.bubblewrap.memory_mb", kLimit, 0, kHuge, AT(sandbox.bubblewrap_memory_mb))),
      Live(
          Number("sandbox.bubblewrap.max_processes", kLimit, 0, kHuge, AT(sandbox.bubblewrap_max_processes))),
      Live(Number("sandbox.bubblewrap.cpu_seconds", kLimit, 0, kHuge, AT(sandbox.bubblewrap_cpu_seconds))),
      Live(Text("sandbox.docker.image", AT(sandbox.docker_image))),
      Live(OneOf("sandbox.docker.network", "\"none\" or \"allow\"", {"none", "allow"},
                 AT(sandbox.docker_network))),
      Live(Number("sandbox.docker.memory_mb", kLimit, 0, kHuge, AT(sandbox.docker_memory_mb))),
      Live(Number("sandbox.docker.max_processes", kLimit, 0, kHuge, AT(sandbox.docker_max_processes))),
      Live(Number("sandbox.docker.cpu_seconds", kLimit, 0, kHuge, AT(sandbox.docker_cpu_seconds))),

      Live(Secret(Plain("vars", "a table of texts", AT(vars)))),
      Live(Plain("setup.commands", "a list of texts", AT(setup_commands))),
      Live(Number("setup.timeout_ms", "a whole number of milliseconds", 0, 86'400'000, AT(setup_timeout_ms))),
      Live(Plain("checkpoint.exclude_globs", "a list of texts", AT(checkpoint_exclude_globs))),
      Live(Plain("assets.include", "a list of texts", AT(assets_include))),
      Live(Secret(Plain("hooks", "a list of tables", AT(hooks)))),
      [] {
        Key key = Plain("workflows.dirs", "a list of paths", AT(workflow_dirs));
        key.is_path = true;
        return key;
      }(),

      Live(Word("log.level", "\"debug\", \"info\", \"warn\", \"error\" or \"off\"", AT(log.level),
                ParseLogLevel, [](LogLevel level) { return ToString(level); })),
      Live(Word("log.format", "\"auto\", \"text\" or \"json\"", AT(log.format), ParseLogFormat,
                [](LogFormat format) { return ToString(format); })),
      Plain("features.retros", "true or false", AT(retros)),
      Plain("metrics.open", "true or false", AT(metrics_open)),

      Number("limits.max_body_bytes", "a whole number from 1024 to 1073741824", 1024, 1 << 30,
             AT(limits.max_body_bytes)),
      Number("limits.max_header_bytes", "a whole number from 1024 to 1048576", 1024, 1 << 20,
             AT(limits.max_header_bytes)),
      Number("limits.max_connections", "a whole number from 1 to 1000000", 1, 1'000'000,
             AT(limits.max_connections)),
      Number("limits.max_connections_per_address", "a whole number, 0 for no limit", 0, kHuge,
             AT(limits.max_connections_per_address)),
      Live(Number("limits.requests_per_second", "a whole number, 0 for no limit", 0, kHuge,
                  AT(limits.requests_per_second))),
      Live(Number("limits.burst", "a whole number, 0 for as many as requests_per_second", 0, kHuge,
                  AT(limits.burst))),
      Number("limits.max_queued_runs", "a whole number from 1 to 1000000000", 1, kHuge,
             AT(limits.max_queued_runs)),
      Number("limits.max_calls", "a whole number from 1 to 1000000", 1, 1'000'000, AT(limits.max_calls)),
      Number("limits.max_streams", "a whole number from 1 to 1000000", 1, 1'000'000, AT(limits.max_streams)),

      Live(OptionalList("access.viewers", kNames, AT(access.viewers))),
      Live(OptionalList("access.operators", kNames, AT(access.operators))),
      Live(OptionalList("access.admins", kNames, AT(access.admins))),
  };
}

#undef AT

}  // namespace

const std::vector<Key>& Keys() {
  static const std::vector<Key>& keys =
      *new std::vector<Key>(MakeKeys());  // never destroyed: used at exit too
  return keys;
}

const Key* FindKey(std::string_view name) {
  if (name == "data_dir") name = "storage_dir";
  for (const Key& key : Keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

bool IsSection(std::string_view name) {
  return std::any_of(Keys().begin(), Keys().end(), [name](const Key& key) {
    return key.name.size() > name.size() && key.name.starts_with(name) && key.name[name.size()] == '.';
  });
}

std::vector<std::string> KeyNames() {
  std::vector<std::string> names;
  for (const Key& key : Keys()) names.emplace_back(key.name);
  return names;
}

std::optional<Value> ValueFromText(const Key& key, const std::string& text) {
  ServerConfig scratch;
  scratch.api.authentication_strategies.emplace();  // so that every key has a value whose kind can be seen
  const std::optional<Value> example = key.read(scratch);
  if (!example) return std::nullopt;
  if (std::holds_alternative<std::string>(*example)) return text;
  if (std::holds_alternative<std::int64_t>(*example)) {
    const std::optional<long long> number = ParseInt(Trim(text));
    if (!number) return std::nullopt;
    return Value(static_cast<std::int64_t>(*number));
  }
  if (std::holds_alternative<bool>(*example)) {
    if (text == "true") return Value(true);
    if (text == "false") return Value(false);
    return std::nullopt;
  }
  if (!std::holds_alternative<StringList>(*example)) return std::nullopt;
  StringList words;
  for (const std::string_view word : Split(text, ',')) {
    if (!Trim(word).empty()) words.emplace_back(Trim(word));
  }
  return words;
}

}  // namespace fabro::config
