#include "core/config/print.h"

#include <algorithm>
#include <cctype>

#include "core/base/strings.h"
#include "core/config/hooks.h"
#include "core/config/keys.h"

namespace fabro::config {
namespace {

constexpr std::string_view kMask = "********";

// "postgresql://user:password@host/db" without its password; one in the query is masked too.
std::string MaskUrl(std::string_view url) {
  std::string out(url);
  const std::size_t scheme = out.find("://");
  if (scheme != std::string::npos) {
    const std::size_t start = scheme + 3;
    const std::size_t at = out.rfind('@', out.find('/', start));
    const std::size_t colon = out.find(':', start);
    if (at != std::string::npos && at > start && colon < at) out.replace(colon + 1, at - colon - 1, kMask);
  }
  const std::size_t password = out.find("password=");
  if (password != std::string::npos) {
    const std::size_t start = password + 9;
    const std::size_t end = out.find('&', start);
    out.replace(start, end == std::string::npos ? end : end - start, kMask);
  }
  return out;
}

Value Masked(const Key& key, Value value) {
  if (!key.is_secret) return value;
  if (auto* text = std::get_if<std::string>(&value)) *text = MaskUrl(*text);
  if (auto* map = std::get_if<StringMap>(&value)) {
    for (auto& [name, text] : *map) text = kMask;
  }
  if (auto* hooks = std::get_if<HookList>(&value)) {
    for (Hook& hook : *hooks) {
      for (auto& [name, text] : hook.headers) text = kMask;
      hook.url = MaskUrl(hook.url);
    }
  }
  return value;
}

bool IsBareName(std::string_view name) {
  for (const char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-') return false;
  }
  return !name.empty();
}

// TOML and JSON differ only in how a table is written; a JSON string literal is a TOML basic string.
struct Writer {
  bool toml;
  std::string& out;

  void operator()(const std::string& text) const { AppendJsonString(out, text); }
  void operator()(std::int64_t number) const { out += std::to_string(number); }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(const StringList& list) const {
    out += '[';
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) out += toml ? ", " : ",";
      AppendJsonString(out, list[i]);
    }
    out += ']';
  }
  void operator()(const StringMap& map) const { Table(map); }
  void operator()(const StringListMap& map) const { Table(map); }
  void operator()(const HookList& hooks) const {
    out += '[';
    for (std::size_t i = 0; i < hooks.size(); ++i) {
      if (i > 0) out += toml ? ", " : ",";
      Table(FieldsOf(hooks[i]));
    }
    out += ']';
  }
  void operator()(const Value& value) const { std::visit(*this, value); }

  // What is said of the hook, so that reading it gives the same one.
  static std::map<std::string, Value> FieldsOf(const Hook& hook) {
    std::map<std::string, Value> fields;
    if (!hook.name.empty()) fields["name"] = hook.name;
    fields["event"] = std::string(ToString(hook.event));
    if (!hook.command.empty()) fields["command"] = hook.command;
    if (!hook.url.empty()) fields["url"] = hook.url;
    if (!hook.headers.empty()) fields["headers"] = hook.headers;
    if (!hook.allowed_env_vars.empty()) fields["allowed_env_vars"] = hook.allowed_env_vars;
    if (!hook.verify_tls) fields["tls"] = std::string("no_verify");
    if (!hook.matcher.empty()) fields["matcher"] = hook.matcher;
    if (hook.blocking) fields["blocking"] = true;
    fields["timeout_ms"] = static_cast<std::int64_t>(hook.timeout.count());
    if (!hook.sandbox) fields["sandbox"] = false;
    return fields;
  }

  template <typename Map>
  void Table(const Map& map) const {
    out += toml && !map.empty() ? "{ " : "{";
    bool first = true;
    for (const auto& [name, value] : map) {
      if (!first) out += toml ? ", " : ",";
      first = false;
      if (toml && IsBareName(name)) {
        out += name;
      } else {
        AppendJsonString(out, name);
      }
      out += toml ? " = " : ":";
      (*this)(value);
    }
    out += toml && !map.empty() ? " }" : "}";
  }
};

// A comment ends with its line, so an origin may not bring a line end of its own (a file name can).
std::string OneLine(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

std::string_view SectionOf(const Key& key) {
  const std::size_t dot = key.name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.name.substr(0, dot);
}

// Each section once, in the table's order, the one without a name first.
std::vector<std::string_view> Sections() {
  std::vector<std::string_view> sections = {""};
  for (const Key& key : Keys()) {
    if (std::find(sections.begin(), sections.end(), SectionOf(key)) == sections.end()) {
      sections.push_back(SectionOf(key));
    }
  }
  return sections;
}

}  // namespace

std::string PrintValue(const Key& key, const Value& value) {
  std::string out;
  std::visit(Writer{.toml = true, .out = out}, Masked(key, value));
  return out;
}

std::string PrintToml(const Loaded& loaded) {
  std::string out = loaded.file.empty() ? std::string("# no file; defaults\n")
                                        : StrCat("# ", OneLine(loaded.file), " and defaults\n");
  // Keys without a dot come first: after a [section] line they would belong to it.
  for (const std::string_view section : Sections()) {
    if (!section.empty()) out += StrCat("\n[", section, "]\n");
    for (const Key& key : Keys()) {
      const std::optional<Value> value = SectionOf(key) == section ? key.read(loaded.config) : std::nullopt;
      if (!value) continue;
      out += StrCat(section.empty() ? key.name : key.name.substr(section.size() + 1), " = ");
      std::visit(Writer{.toml = true, .out = out}, Masked(key, *value));
      const auto origin = loaded.origins.find(std::string(key.name));
      if (origin != loaded.origins.end()) out += StrCat("  # ", OneLine(origin->second));
      out += '\n';
    }
  }
  return out;
}

std::string PrintJson(const Loaded& loaded) {
  std::string out = "{\"file\":";
  AppendJsonString(out, loaded.file);
  out += ",\"settings\":{";
  bool first = true;
  for (const Key& key : Keys()) {
    const std::optional<Value> value = key.read(loaded.config);
    if (!value) continue;
    if (!first) out += ',';
    first = false;
    AppendJsonString(out, key.name);
    out += ':';
    std::visit(Writer{.toml = false, .out = out}, Masked(key, *value));
  }
  const Writer writer{.toml = false, .out = out};
  out += "},\"origins\":";
  writer(StringMap(loaded.origins));
  out += ",\"warnings\":";
  writer(loaded.warnings);
  out += '}';
  return out;
}

}  // namespace fabro::config
