// The one table of configuration keys: how each is spelled, where it is kept, what is right for it. The
// loader, the printer, the nearest-name hints and the README's table of keys all read this.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config/server_config.h"

namespace fabro::config {

// A value as TOML knows it, before and after the typed structs. A list of tables that name their `type`
// ([[api.authentication_strategies]]) is a list of those names.
using Value = std::variant<std::string, std::int64_t, bool, StringList, StringMap, StringListMap, HookList>;

struct Key {
  std::string_view name;    // dotted: "api.port"
  std::string_view wanted;  // what is right for it: "a whole number from 0 to 65535"
  // Stores the value; false when it is not what is wanted, and then nothing is stored.
  std::function<bool(ServerConfig&, const Value&)> assign;
  std::function<std::optional<Value>(const ServerConfig&)> read;  // nothing: not set
  bool is_path = false;                                           // '~' stands for the home directory
  bool is_secret = false;  // the values of a map, or a password in a URL, are masked when printed
  bool is_live = false;    // may change while the server runs
  std::string_view
      unbuilt;  // not empty: what this version does with it instead, for a warning when it is set
};

const std::vector<Key>& Keys();
const Key* FindKey(std::string_view name);  // null when unknown; knows the old name data_dir
bool IsSection(std::string_view name);      // some key starts with "NAME."
std::vector<std::string> KeyNames();

// A flag's or variable's text as the kind of value that the key takes: lists are separated by commas. Nothing
// when the text is no such value; tables have no text form.
std::optional<Value> ValueFromText(const Key& key, const std::string& text);

}  // namespace fabro::config
