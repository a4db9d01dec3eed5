// The process's environment together with the .env files that fill its gaps.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace fabro::config {

class Environment {
 public:
  Environment() = default;
  static Environment FromProcess();

  // The value, also when it is empty. A set variable wins over every .env file, an earlier file over a later
  // one.
  std::optional<std::string> Find(std::string_view name) const;
  // The value when it is there and not empty.
  std::optional<std::string> FindNonEmpty(std::string_view name) const;
  void Set(std::string name, std::string value);

  // Takes the lines of a .env file: NAME=VALUE, an optional `export` before it, # comments, single quotes (as
  // it stands) or double quotes (\n \t \" \\ \$). Says what is wrong in `problems`, one sentence each with
  // `file:line`, and never the value. Names that are set already stay as they are.
  void AddText(std::string_view text, std::string_view file, std::vector<std::string>* problems);

  // Reads DIR/.env if there is one; at most 256 KiB.
  void AddFile(const std::string& dir, std::vector<std::string>* problems);

  const std::map<std::string, std::string, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace fabro::config
