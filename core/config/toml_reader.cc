#include "core/config/toml_reader.h"

#include <toml++/toml.h>

#include <exception>
#include <sstream>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::config {
namespace {

constexpr std::size_t kMaxShown = 60;

std::string Where(std::string_view file, const toml::source_region& source) {
  return StrCat(file, ":", source.begin.line, ":", source.begin.column);
}

std::string Shown(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  std::ostringstream out;
  node.visit([&out](const auto& value) { out << value; });
  std::string text = out.str();
  if (CountUtf8(text) > kMaxShown) text = StrCat(TruncateUtf8(text, kMaxShown), "...");
  return text;
}

// A list of texts; an element may also be a table that has nothing but its `type` to say.
std::optional<StringList> AsList(const toml::array& array) {
  StringList list;
  for (const toml::node& element : array) {
    if (const auto* text = element.as_string()) {
      list.push_back(text->get());
    } else if (const auto* table = element.as_table()) {
      const toml::node* type = table->get("type");
      if (type == nullptr || !type->is_string()) return std::nullopt;
      list.push_back(type->as_string()->get());
    } else {
      return std::nullopt;
    }
  }
  return list;
}

std::optional<Value> AsMap(const toml::table& table) {
  StringMap texts;
  StringListMap lists;
  for (const auto& [name, node] : table) {
    if (const auto* text = node.as_string()) {
      texts.emplace(name.str(), text->get());
    } else if (const auto* array = node.as_array()) {
      std::optional<StringList> list = AsList(*array);
      if (!list) return std::nullopt;
      lists.emplace(name.str(), *std::move(list));
    } else {
      return std::nullopt;
    }
  }
  if (lists.empty()) return texts;
  if (texts.empty()) return lists;
  return std::nullopt;
}

std::optional<Value> AsValue(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return Value(number->get());
  if (const auto* boolean = node.as_boolean()) return Value(boolean->get());
  if (const auto* table = node.as_table()) return AsMap(*table);
  if (const auto* array = node.as_array()) {
    if (std::optional<StringList> list = AsList(*array)) return *std::move(list);
  }
  return std::nullopt;
}

// An empty table is an empty map of either kind; the key says which.
std::optional<Value> ForKey(const Key& key, std::optional<Value> value) {
  const StringMap* texts = value ? std::get_if<StringMap>(&*value) : nullptr;
  if (texts == nullptr || !texts->empty()) return value;
  const std::optional<Value> example = key.read(ServerConfig());
  if (example && std::holds_alternative<StringListMap>(*example)) return StringListMap();
  return value;
}

// Depth is bounded by the parser of toml++ (256).
void Walk(const toml::table& table, const std::string& prefix, std::string_view file,
          std::vector<Setting>& settings) {
  for (const auto& [name, node] : table) {
    const std::string key_name = StrCat(prefix, name.str());
    const Key* key = FindKey(key_name);
    if (key == nullptr && node.is_table()) {
      Walk(*node.as_table(), StrCat(key_name, "."), file, settings);
      continue;
    }
    Setting setting{.key = key_name, .where = Where(file, node.source()), .shown = Shown(node)};
    setting.value = AsValue(node);
    if (key != nullptr) {
      setting.value = ForKey(*key, std::move(setting.value));
      if (key->name == "hooks" && node.is_array()) setting.value = StringList();  // tables of another shape
    }
    settings.push_back(std::move(setting));
  }
}

}  // namespace

absl::StatusOr<std::vector<Setting>> ReadToml(std::string_view text, std::string_view file) {
  try {
    const toml::table table = toml::parse(text);
    std::vector<Setting> settings;
    Walk(table, "", file, settings);
    return settings;
  } catch (const toml::parse_error& error) {
    return InvalidArgument(Reason::kInvalidArgument, file,
                           StrCat(Where(file, error.source()), ": not valid TOML: ", error.description()));
  } catch (const std::exception& error) {
    return InvalidArgument(Reason::kInvalidArgument, file, StrCat(file, ": reading TOML: ", error.what()));
  }
}

}  // namespace fabro::config
