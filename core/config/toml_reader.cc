#include "core/config/toml_reader.h"

#include <algorithm>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"

// toml++ 3.3 asserts things that malformed input breaks (a '[' before the end of a line), and under NDEBUG
// lets the compiler assume them. Here such an assertion is an exception, caught below like any other of its
// errors.
namespace fabro::config {
[[noreturn]] static void BrokenToml() { throw std::logic_error("not valid TOML"); }
}  // namespace fabro::config
#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? (void)0 : ::fabro::config::BrokenToml())
#include <toml++/toml.h>

namespace fabro::config {
namespace {

constexpr std::size_t kMaxShown = 60;

std::string Where(std::string_view file, const toml::source_region& source) {
  return StrCat(file, ":", source.begin.line, ":", source.begin.column);
}

std::string Shown(const toml::node& node) {
  if (node.is_table()) return "a table";
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
std::optional<Value> ForKey(const Schema& schema, std::string_view key, std::optional<Value> value) {
  const StringMap* texts = value ? std::get_if<StringMap>(&*value) : nullptr;
  if (texts != nullptr && texts->empty() && schema.holds_lists(key)) return StringListMap();
  return value;
}

// Each table of the list as "hooks[N]", then each of its values as "hooks[N].FIELD". A list that holds
// anything else is one setting of no value.
void WalkHooks(const toml::array& array, std::string_view file, std::vector<Setting>& settings) {
  for (std::size_t i = 0; i < array.size(); ++i) {
    const toml::table* table = array[i].as_table();
    const std::string name = StrCat("hooks[", i, ']');
    settings.push_back({.key = "hooks", .where = Where(file, array[i].source()), .shown = Shown(array[i])});
    if (table == nullptr) continue;
    settings.back().key = name;
    settings.back().hook = i;
    for (const auto& [field, node] : *table) {
      settings.push_back({.key = StrCat(name, '.', field.str()),
                          .where = Where(file, node.source()),
                          .shown = Shown(node),
                          .value = AsValue(node),
                          .hook = i});
    }
  }
}

// Depth is bounded by the parser of toml++ (256).
void Walk(const toml::table& table, const std::string& prefix, std::string_view file, const Schema& schema,
          std::vector<Setting>& settings) {
  for (const auto& [name, node] : table) {
    const std::string key_name = StrCat(prefix, name.str());
    const bool is_key = schema.is_key(key_name);
    if (!is_key && node.is_table()) {
      Walk(*node.as_table(), StrCat(key_name, "."), file, schema, settings);
      continue;
    }
    if (key_name == "hooks" && node.is_array()) {
      WalkHooks(*node.as_array(), file, settings);
      continue;
    }
    Setting setting{.key = key_name, .where = Where(file, node.source()), .shown = Shown(node)};
    setting.value = AsValue(node);
    if (is_key) setting.value = ForKey(schema, key_name, std::move(setting.value));
    settings.push_back(std::move(setting));
  }
}

// How a string that starts at text[i] begins: three quotes, one, or none.
std::string_view OpeningAt(std::string_view text, std::size_t i) {
  for (const std::string_view quotes : {"\"\"\"", "'''", "\"", "'"}) {
    if (text.substr(i).starts_with(quotes)) return quotes;
  }
  return {};
}

// Past the string that starts at text[i] with `quotes`, or past the line where a single-line string is left
// open.
std::size_t EndOfString(std::string_view text, std::size_t i, std::string_view quotes) {
  for (i += quotes.size(); i < text.size(); ++i) {
    if (text[i] == '\\' && quotes[0] == '"') {
      ++i;
    } else if (text[i] == '\n' && quotes.size() == 1) {
      return i;
    } else if (text.substr(i).starts_with(quotes)) {
      i += quotes.size();
      while (quotes.size() == 3 && i < text.size() && text[i] == quotes[0])
        ++i;  // """ may follow up to two quotes
      return i;
    }
  }
  return text.size();
}

// The first byte beyond ASCII that is in no string and no comment, else npos. TOML has no place for one, and
// toml++ 3.3 runs into undefined behaviour on some of them (its table of blanks beyond ASCII has a hole).
std::size_t FindStray(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::string_view quotes = OpeningAt(text, i); !quotes.empty()) {
      i = EndOfString(text, i, quotes);
    } else if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (static_cast<unsigned char>(text[i]) >= 0x80) {
      return i;
    } else {
      ++i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::vector<Setting>> ReadToml(std::string_view text, std::string_view file) {
  Schema schema;
  schema.is_key = [](std::string_view name) { return FindKey(name) != nullptr; };
  schema.holds_lists = [](std::string_view name) {
    const std::optional<Value> example = FindKey(name)->read(ServerConfig());
    return example && std::holds_alternative<StringListMap>(*example);
  };
  return ReadToml(text, file, schema);
}

absl::StatusOr<std::vector<Setting>> ReadToml(std::string_view text, std::string_view file,
                                              const Schema& schema) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // byte order mark
  if (const std::size_t stray = FindStray(text); stray != std::string_view::npos) {
    const std::size_t line_start = text.substr(0, stray).rfind('\n') + 1;  // npos + 1 is 0
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(stray), '\n');
    return InvalidArgument(
        Reason::kInvalidArgument, file,
        StrCat(file, ":", line, ":", 1 + CountUtf8(text.substr(line_start, stray - line_start)),
               ": not valid TOML: a character that is not ASCII must stand in quotes"));
  }
  try {
    const toml::table table = toml::parse(text);
    std::vector<Setting> settings;
    Walk(table, "", file, schema, settings);
    return settings;
  } catch (const toml::parse_error& error) {
    return InvalidArgument(Reason::kInvalidArgument, file,
                           StrCat(Where(file, error.source()), ": not valid TOML: ", error.description()));
  } catch (const std::exception& error) {
    return InvalidArgument(Reason::kInvalidArgument, file, StrCat(file, ": ", error.what()));
  }
}

}  // namespace fabro::config
