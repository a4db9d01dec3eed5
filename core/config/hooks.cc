#include "core/config/hooks.h"

#include <re2/re2.h>

#include <array>
#include <utility>

#include "core/base/strings.h"

namespace fabro::config {
namespace {

constexpr std::array<std::pair<HookEvent, std::string_view>, 6> kEvents{{
    {HookEvent::kRunStart, "run_start"},
    {HookEvent::kRunComplete, "run_complete"},
    {HookEvent::kRunFailed, "run_failed"},
    {HookEvent::kStageStart, "stage_start"},
    {HookEvent::kStageComplete, "stage_complete"},
    {HookEvent::kStageFailed, "stage_failed"},
}};
constexpr std::int64_t kMostTimeout = 86'400'000;
constexpr std::size_t kMostHooks = 100;

bool IsMadeForModels(std::string_view type) { return type == "prompt" || type == "agent"; }

template <typename T>
bool Store(const std::optional<Value>& value, T& member) {
  const T* typed = value ? std::get_if<T>(&*value) : nullptr;
  if (typed != nullptr) member = *typed;
  return typed != nullptr;
}

// One field of a hook: what is right for it, and how it is kept (false: it is not right).
struct Field {
  std::string_view name;
  std::string_view wanted;
};

constexpr std::array kFields = std::to_array<Field>({
    {"name", "a text"},
    {"event",
     "\"run_start\", \"run_complete\", \"run_failed\", \"stage_start\", \"stage_complete\" or "
     "\"stage_failed\""},
    {"type", "\"command\" or \"http\""},
    {"command", "a text"},
    {"url", "a text"},
    {"headers", "a table of texts"},
    {"allowed_env_vars", "a list of texts"},
    {"tls", "\"verify\", \"no_verify\" or \"off\""},
    {"matcher", "a text"},
    {"blocking", "true or false"},
    {"timeout_ms", "a whole number from 1 to 86400000"},
    {"sandbox", "true or false"},
    {"prompt", "a text"},
    {"model", "a text"},
    {"max_tool_rounds", "a whole number"},
});

bool StoreEvent(const std::optional<Value>& value, Hook& hook) {
  std::string text;
  if (!Store(value, text)) return false;
  const std::optional<HookEvent> event = ParseHookEvent(text);
  if (event) hook.event = *event;
  return event.has_value();
}

bool StoreTls(const std::optional<Value>& value, Hook& hook) {
  std::string text;
  if (!Store(value, text)) return false;
  hook.verify_tls = text == "verify";
  return text == "verify" || text == "no_verify" || text == "off";
}

bool StoreTimeout(const std::optional<Value>& value, Hook& hook) {
  std::int64_t ms = 0;
  if (!Store(value, ms) || ms < 1 || ms > kMostTimeout) return false;
  hook.timeout = std::chrono::milliseconds(ms);
  return true;
}

bool StoreField(std::string_view name, const std::optional<Value>& value, Hook& hook) {
  if (name == "name") return Store(value, hook.name);
  if (name == "event") return StoreEvent(value, hook);
  if (name == "command") return Store(value, hook.command);
  if (name == "url") return Store(value, hook.url);
  if (name == "headers") return Store(value, hook.headers);
  if (name == "allowed_env_vars") return Store(value, hook.allowed_env_vars);
  if (name == "tls") return StoreTls(value, hook);
  if (name == "matcher") return Store(value, hook.matcher);
  if (name == "blocking") return Store(value, hook.blocking);
  if (name == "timeout_ms") return StoreTimeout(value, hook);
  if (name == "sandbox") return Store(value, hook.sandbox);
  return value.has_value();  // what is for models is refused with the hook's type
}

std::vector<std::string> FieldNames() {
  std::vector<std::string> names;
  for (const Field& field : kFields) names.emplace_back(field.name);
  return names;
}

}  // namespace

std::string_view ToString(HookEvent event) {
  for (const auto& [value, text] : kEvents) {
    if (value == event) return text;
  }
  return "";
}

std::optional<HookEvent> ParseHookEvent(std::string_view text) {
  for (const auto& [value, name] : kEvents) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::optional<HookProblem> FindProblem(const Hook& hook) {
  const bool is_http = hook.kind == Hook::Kind::kHttp;
  if (!is_http && hook.command.empty()) return HookProblem{"command", "is missing"};
  if (is_http && hook.url.empty()) return HookProblem{"url", "is missing"};
  if (is_http && !hook.command.empty()) return HookProblem{"command", "does not go with a url"};
  if (!is_http && !hook.url.empty()) return HookProblem{"url", "does not go with a command"};
  if (is_http && !hook.url.starts_with("http://") && !hook.url.starts_with("https://")) {
    return HookProblem{"url", "must start with http:// or https://"};
  }
  if (hook.matcher.empty()) return std::nullopt;
  RE2::Options quiet;
  quiet.set_log_errors(false);
  const RE2 matcher(hook.matcher, quiet);
  if (!matcher.ok()) return HookProblem{"matcher", StrCat("is no regular expression: ", matcher.error())};
  return std::nullopt;
}

void HookReader::Take(const Setting& setting, std::vector<std::string>& errors,
                      std::vector<std::string>& warnings) {
  const std::string name = StrCat("hooks[", *setting.hook, ']');
  if (entries_.empty() || entries_.back().name != name) {
    entries_.push_back({.name = name, .where = setting.where});
    if (entries_.size() == kMostHooks + 1) {
      errors.push_back(StrCat(setting.where, ": hooks: there are more than ", kMostHooks));
    }
  }
  Entry& entry = entries_.back();
  if (setting.key == name) return;  // the table itself
  const std::string field_name = setting.key.substr(name.size() + 1);
  const Field* field = nullptr;
  for (const Field& known : kFields) {
    if (known.name == field_name) field = &known;
  }
  if (field == nullptr) {
    std::string text = StrCat(setting.where, ": ", setting.key, ": no such setting");
    if (const auto nearest = NearestWord(field_name, FieldNames()))
      text += StrCat("; did you mean ", *nearest, "?");
    warnings.push_back(std::move(text));
    return;
  }
  if (field_name == "event") entry.has_event = true;
  bool good = false;
  if (field_name == "type") {
    good = Store(setting.value, entry.type) &&
           (entry.type == "command" || entry.type == "http" || IsMadeForModels(entry.type));
  } else {
    good = StoreField(field_name, setting.value, entry.hook);
  }
  if ((field_name == "prompt" || field_name == "max_tool_rounds") && good && entry.type.empty())
    entry.type = "prompt";
  if (good) return;
  entry.failed = true;
  errors.push_back(StrCat(setting.where, ": ", setting.key, ": must be ", field->wanted,
                          field_name == "headers" ? "" : StrCat(", not ", setting.shown)));
}

void HookReader::FinishOne(Entry& entry, std::vector<std::string>& errors) {
  const std::string place = StrCat(entry.where, ": ", entry.name);
  Hook& hook = entry.hook;
  if (IsMadeForModels(entry.type)) {
    errors.push_back(StrCat(place, ".type: hooks of type ", entry.type,
                            " need a model, and this version calls none; use \"command\" or \"http\""));
    return;
  }
  if (!entry.has_event) {
    errors.push_back(StrCat(place, ".event: is missing; it must be ", kFields[1].wanted));
    return;
  }
  if (entry.type.empty() && hook.command.empty() && hook.url.empty()) {
    errors.push_back(StrCat(place, ": needs a command or a url"));
    return;
  }
  const bool is_http = entry.type.empty() ? hook.command.empty() : entry.type == "http";
  hook.kind = is_http ? Hook::Kind::kHttp : Hook::Kind::kCommand;
  if (const auto problem = FindProblem(hook)) {
    errors.push_back(StrCat(place, '.', problem->field, ": ", problem->what));
  }
}

HookList HookReader::Finish(std::vector<std::string>& errors) {
  HookList hooks;
  for (Entry& entry : entries_) {
    if (!entry.failed) FinishOne(entry, errors);
    hooks.push_back(std::move(entry.hook));
  }
  entries_.clear();
  return hooks;
}

}  // namespace fabro::config
