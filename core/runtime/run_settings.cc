#include "core/runtime/run_settings.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/hooks.h"
#include "fabro/v1/settings.pb.h"

namespace fabro::runtime {
namespace {

constexpr std::string_view kInline = "<inline>";

struct Provider {
  config::SandboxProvider value;
  std::string_view name;
};
constexpr Provider kProviders[] = {{config::SandboxProvider::kLocal, "local"},
                                   {config::SandboxProvider::kBubblewrap, "bubblewrap"},
                                   {config::SandboxProvider::kDocker, "docker"}};

struct Mode {
  config::WorktreeMode value;
  v1::WorktreeMode word;
};
constexpr Mode kModes[] = {{config::WorktreeMode::kAlways, v1::WORKTREE_MODE_ALWAYS},
                           {config::WorktreeMode::kClean, v1::WORKTREE_MODE_CLEAN},
                           {config::WorktreeMode::kDirty, v1::WORKTREE_MODE_DIRTY},
                           {config::WorktreeMode::kNever, v1::WORKTREE_MODE_NEVER}};

struct Event {
  config::HookEvent value;
  v1::HookEvent word;
};
constexpr Event kEvents[] = {{config::HookEvent::kRunStart, v1::HOOK_EVENT_RUN_START},
                             {config::HookEvent::kRunComplete, v1::HOOK_EVENT_RUN_COMPLETE},
                             {config::HookEvent::kRunFailed, v1::HOOK_EVENT_RUN_FAILED},
                             {config::HookEvent::kStageStart, v1::HOOK_EVENT_STAGE_START},
                             {config::HookEvent::kStageComplete, v1::HOOK_EVENT_STAGE_COMPLETE},
                             {config::HookEvent::kStageFailed, v1::HOOK_EVENT_STAGE_FAILED}};

template <typename Strings>
std::vector<std::string> List(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

template <typename Map>
std::map<std::string, std::string> Texts(const Map& map) {
  return {map.begin(), map.end()};
}

absl::Status ReadFallbacks(const v1::LlmSettings& llm, config::RunOverrides& over) {
  for (const auto& [provider, list] : llm.fallbacks()) {
    std::vector<std::string>& names = over.llm_fallbacks[provider];
    for (const google::protobuf::Value& value : list.values()) {
      if (value.kind_case() != google::protobuf::Value::kStringValue) {
        return InvalidField(StrCat("settings.llm.fallbacks.", TruncateUtf8(provider, 64)),
                            "must be a list of texts");
      }
      names.push_back(value.string_value());
    }
  }
  return absl::OkStatus();
}

template <typename Settings>
config::BoundsOverrides ReadBounds(const Settings& settings) {
  config::BoundsOverrides over;
  if (settings.has_network() && settings.network() != v1::SANDBOX_NETWORK_UNSPECIFIED)
    over.network = settings.network() == v1::SANDBOX_NETWORK_ALLOW;
  if (settings.has_memory_bytes()) over.memory_bytes = settings.memory_bytes();
  if (settings.has_max_processes()) over.max_processes = settings.max_processes();
  if (settings.has_cpu_seconds()) over.cpu_seconds = settings.cpu_seconds();
  return over;
}

absl::Status ReadSandbox(const v1::SandboxSettings& sandbox, config::RunOverrides& over) {
  if (sandbox.has_daytona())
    return InvalidField("settings.sandbox.daytona", "is not supported by this version");
  if (sandbox.devcontainer())
    return InvalidField("settings.sandbox.devcontainer", "is not supported by this version");
  if (sandbox.has_provider()) {
    for (const Provider& provider : kProviders) {
      if (provider.name == sandbox.provider()) over.sandbox_provider = provider.value;
    }
    if (!over.sandbox_provider)
      return InvalidField("settings.sandbox.provider", "must be local, bubblewrap or docker");
  }
  for (const auto& [name, value] : sandbox.env()) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos ||
        value.find('\0') != std::string::npos) {
      return InvalidField(StrCat("settings.sandbox.env.", TruncateUtf8(name, 64)),
                          "must have a name without = and a value without a zero byte");
    }
  }
  over.sandbox_env = Texts(sandbox.env());
  if (sandbox.has_preserve()) over.preserve_sandbox = sandbox.preserve();
  if (sandbox.has_bubblewrap()) over.bubblewrap = ReadBounds(sandbox.bubblewrap());
  if (sandbox.has_docker()) {
    over.docker = ReadBounds(sandbox.docker());
    if (sandbox.docker().has_image()) over.docker_image = sandbox.docker().image();
  }
  for (const Mode& mode : kModes) {
    if (sandbox.local().worktree_mode() == mode.word) over.worktree_mode = mode.value;
  }
  return absl::OkStatus();
}

absl::StatusOr<config::Hook> ReadHook(const v1::HookDefinition& from, const std::string& path) {
  config::Hook hook;
  hook.name = from.name();
  const Event* event = nullptr;
  for (const Event& known : kEvents) {
    if (known.word == from.event()) event = &known;
  }
  if (event == nullptr) {
    return InvalidField(path + ".event",
                        "must be run_start, run_complete, run_failed, stage_start, stage_complete or "
                        "stage_failed: this version calls hooks for no other event");
  }
  hook.event = event->value;
  if (from.type() == v1::HOOK_TYPE_PROMPT || from.type() == v1::HOOK_TYPE_AGENT || from.has_prompt()) {
    return InvalidField(path + ".type",
                        "must be command or http: others need a model, and this version calls none");
  }
  const bool is_http = from.type() == v1::HOOK_TYPE_HTTP ||
                       (from.type() == v1::HOOK_TYPE_UNSPECIFIED && !from.has_command() && from.has_url());
  hook.kind = is_http ? config::Hook::Kind::kHttp : config::Hook::Kind::kCommand;
  hook.command = from.command();
  hook.url = from.url();
  hook.headers = Texts(from.headers());
  hook.allowed_env_vars = List(from.allowed_env_vars());
  hook.verify_tls = from.tls() == v1::HOOK_TLS_UNSPECIFIED || from.tls() == v1::HOOK_TLS_VERIFY;
  hook.matcher = from.matcher();
  hook.blocking = from.blocking();
  if (from.has_sandbox()) hook.sandbox = from.sandbox();
  if (from.has_timeout_ms()) hook.timeout = std::chrono::milliseconds(from.timeout_ms());
  if (const auto problem = config::FindProblem(hook)) {
    return InvalidField(StrCat(path, '.', problem->field), problem->what);
  }
  return hook;
}

// Both messages hold the same parts under the same names.
template <typename Settings>
absl::StatusOr<config::RunOverrides> ReadOverrides(const Settings& settings) {
  config::RunOverrides over;
  if (settings.has_work_dir()) over.work_dir = settings.work_dir();
  if (settings.llm().has_model()) over.llm_model = settings.llm().model();
  if (settings.llm().has_provider()) over.llm_provider = settings.llm().provider();
  FABRO_RETURN_IF_ERROR(ReadFallbacks(settings.llm(), over));
  if (settings.setup().commands_size() > 0) over.setup_commands = List(settings.setup().commands());
  if (settings.setup().has_timeout_ms())
    over.setup_timeout = std::chrono::milliseconds(settings.setup().timeout_ms());
  FABRO_RETURN_IF_ERROR(ReadSandbox(settings.sandbox(), over));
  for (int i = 0; i < settings.hooks_size(); ++i) {
    FABRO_ASSIGN_OR_RETURN(config::Hook hook, ReadHook(settings.hooks(i), StrCat("settings.hooks[", i, ']')));
    over.hooks.push_back(std::move(hook));
  }
  if (settings.checkpoint().exclude_globs_size() > 0)
    over.checkpoint_exclude_globs = List(settings.checkpoint().exclude_globs());
  if (settings.assets().include_size() > 0) over.assets_include = List(settings.assets().include());
  return over;
}

template <typename Settings>
void PutBounds(const config::SandboxBounds& bounds, Settings* out) {
  out->set_network(bounds.network ? v1::SANDBOX_NETWORK_ALLOW : v1::SANDBOX_NETWORK_DENY);
  if (bounds.memory_bytes > 0) out->set_memory_bytes(bounds.memory_bytes);
  if (bounds.max_processes > 0) out->set_max_processes(static_cast<std::int32_t>(bounds.max_processes));
  if (bounds.cpu_seconds > 0) out->set_cpu_seconds(static_cast<std::int32_t>(bounds.cpu_seconds));
}

void PutSandbox(const config::SandboxSettings& sandbox, v1::SandboxSettings* out) {
  for (const Provider& provider : kProviders) {
    if (provider.value == sandbox.provider) out->set_provider(std::string(provider.name));
  }
  for (const auto& [name, value] : sandbox.env) (*out->mutable_env())[name] = value;
  out->set_preserve(sandbox.preserve);
  PutBounds(sandbox.bubblewrap, out->mutable_bubblewrap());
  PutBounds(sandbox.docker, out->mutable_docker());
  if (!sandbox.docker_image.empty()) out->mutable_docker()->set_image(sandbox.docker_image);
  for (const Mode& mode : kModes) {
    if (mode.value == sandbox.worktree_mode) out->mutable_local()->set_worktree_mode(mode.word);
  }
}

void PutHook(const config::Hook& hook, v1::HookDefinition* out) {
  if (!hook.name.empty()) out->set_name(hook.name);
  for (const Event& event : kEvents) {
    if (event.value == hook.event) out->set_event(event.word);
  }
  const bool is_http = hook.kind == config::Hook::Kind::kHttp;
  out->set_type(is_http ? v1::HOOK_TYPE_HTTP : v1::HOOK_TYPE_COMMAND);
  if (is_http) {
    out->set_url(hook.url);
    out->set_tls(hook.verify_tls ? v1::HOOK_TLS_VERIFY : v1::HOOK_TLS_NO_VERIFY);
  } else {
    out->set_command(hook.command);
    out->set_sandbox(hook.sandbox);
  }
  for (const auto& [name, value] : hook.headers) (*out->mutable_headers())[name] = value;
  for (const std::string& name : hook.allowed_env_vars) out->add_allowed_env_vars(name);
  if (!hook.matcher.empty()) out->set_matcher(hook.matcher);
  out->set_blocking(hook.blocking);
  out->set_timeout_ms(hook.timeout.count());
}

}  // namespace

absl::Status InvalidField(std::string_view field, std::string_view what) {
  ErrorDetail detail;
  detail.reason = Reason::kInvalidArgument;
  detail.fields.push_back({std::string(field), std::string(what)});
  return Error(absl::StatusCode::kInvalidArgument, detail, StrCat(field, ' ', what));
}

absl::StatusOr<config::RunOverrides> OverridesOf(const v1::StartRunSettings& settings) {
  return ReadOverrides(settings);
}

absl::Status CheckExecutable(const config::RunSettings& settings) {
  if (settings.sandbox.provider == config::SandboxProvider::kDocker &&
      settings.sandbox.docker_image.empty()) {
    return InvalidField("settings.sandbox.docker.image", "must name the image that commands run in");
  }
  if (settings.work_dir.empty()) return absl::OkStatus();
  std::error_code failed;
  const std::filesystem::path dir = settings.work_dir;
  if (!dir.is_absolute() || !std::filesystem::is_directory(dir, failed)) {
    return InvalidField("settings.work_dir", "must be the absolute path of a folder on the server");
  }
  return absl::OkStatus();
}

absl::Status CheckAllowed(const config::RunSettings& settings, const config::ServerConfig& server) {
  for (const Provider& provider : kProviders) {
    if (provider.value != settings.sandbox.provider) continue;
    if (config::IsAllowed(server.sandbox, provider.name)) continue;
    return InvalidField("settings.sandbox.provider",
                        StrCat("must be one of those in sandbox.allowed_providers of this server, and ",
                               provider.name, " is not"));
  }
  if (config::IsAllowed(server.sandbox, "local")) return absl::OkStatus();
  const std::vector<config::Hook>& own = server.hooks;
  for (std::size_t i = 0; i < settings.hooks.size(); ++i) {
    const config::Hook& hook = settings.hooks[i];
    if (hook.kind != config::Hook::Kind::kCommand || hook.sandbox) continue;
    if (std::find(own.begin(), own.end(), hook) != own.end()) continue;
    return InvalidField(StrCat("settings.hooks[", i, "].sandbox"),
                        "must not be false: the command would run on the host, and "
                        "sandbox.allowed_providers of this server does not have local");
  }
  return absl::OkStatus();
}

void Put(const config::RunSettings& settings, v1::RunSettings* out) {
  out->set_version(1);
  out->set_graph(settings.graph.empty() ? std::string(kInline) : settings.graph);
  if (!settings.work_dir.empty()) out->set_work_dir(settings.work_dir);
  for (const std::string& name : settings.hidden_vars) (*out->mutable_vars())[name] = kMask;
  v1::LlmSettings* llm = out->mutable_llm();
  if (!settings.llm_model.empty()) llm->set_model(settings.llm_model);
  if (!settings.llm_provider.empty()) llm->set_provider(settings.llm_provider);
  for (const auto& [provider, names] : settings.llm_fallbacks) {
    google::protobuf::ListValue& list = (*llm->mutable_fallbacks())[provider];
    for (const std::string& name : names) list.add_values()->set_string_value(name);
  }
  for (const std::string& command : settings.setup_commands) out->mutable_setup()->add_commands(command);
  out->mutable_setup()->set_timeout_ms(settings.setup_timeout.count());
  PutSandbox(settings.sandbox, out->mutable_sandbox());
  for (const config::Hook& hook : settings.hooks) PutHook(hook, out->add_hooks());
  for (const std::string& glob : settings.checkpoint_exclude_globs)
    out->mutable_checkpoint()->add_exclude_globs(glob);
  for (const std::string& glob : settings.assets_include) out->mutable_assets()->add_include(glob);
}

void MaskSecrets(v1::RunSettings* settings) {
  if (settings->has_sandbox()) {
    for (auto& [name, value] : *settings->mutable_sandbox()->mutable_env()) value = kMask;
  }
  for (v1::HookDefinition& hook : *settings->mutable_hooks()) {
    for (auto& [name, value] : *hook.mutable_headers()) value = kMask;
  }
}

absl::StatusOr<std::string> SettingsToJson(const config::RunSettings& settings) {
  v1::RunSettings message;
  Put(settings, &message);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    return Internal("the settings of a run have no JSON form");
  }
  return json;
}

absl::StatusOr<config::RunSettings> SettingsFromJson(const std::string& json) {
  if (json.empty()) return config::RunSettings();
  v1::RunSettings message;
  google::protobuf::util::JsonParseOptions lenient;
  lenient.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(json, &message, lenient).ok()) {
    return absl::DataLossError("stored settings are unreadable");
  }
  const absl::StatusOr<config::RunOverrides> over = ReadOverrides(message);
  if (!over.ok())
    return absl::DataLossError(StrCat("stored settings are not valid: ", MessageOf(over.status())));
  config::RunSettings settings = config::Overlay(config::RunSettings(), *over);
  if (message.graph() != kInline) settings.graph = message.graph();
  for (const auto& [name, mask] : message.vars()) settings.hidden_vars.insert(name);
  return settings;
}

}  // namespace fabro::runtime
