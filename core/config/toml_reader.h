// TOML text as a flat list of settings. toml++ stays in toml_reader.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config/keys.h"

namespace fabro::config {

// One value of the file, under its dotted name.
struct Setting {
  std::string key;
  std::string where;                // "file:line:column"
  std::string shown;                // the value for messages, short: "abc", 3, a table
  std::optional<Value> value;       // nothing: of a kind that no key takes
  std::optional<std::size_t> hook;  // which of [[hooks]] it is a part of
};

// Tables are walked until a name that is a key is met, so an unknown table gives one setting for each value
// in it. Of [[hooks]] each table is a setting "hooks[N]", before those of its values, "hooks[N].FIELD".
// InvalidArgument "file:line:column: ..." when the text is no TOML.
absl::StatusOr<std::vector<Setting>> ReadToml(std::string_view text, std::string_view file);

// What the walk must know of a file's names.
struct Schema {
  std::function<bool(std::string_view)> is_key;       // a value, though it is a table
  std::function<bool(std::string_view)> holds_lists;  // a table of lists, even when it is empty
};
absl::StatusOr<std::vector<Setting>> ReadToml(std::string_view text, std::string_view file,
                                              const Schema& schema);

}  // namespace fabro::config
