// [[hooks]]: from the values of their tables to Hook, and the checks that every hook passes, wherever it was
// given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/keys.h"
#include "core/config/run_settings.h"
#include "core/config/toml_reader.h"

namespace fabro::config {

std::string_view ToString(HookEvent event);  // "run_start"
std::optional<HookEvent> ParseHookEvent(std::string_view text);

// What of a hook cannot work: its field and what is wrong with it, to follow the field's name in a sentence.
struct HookProblem {
  std::string field;  // "matcher"
  std::string what;   // "is no regular expression: missing )"
};
std::optional<HookProblem> FindProblem(const Hook& hook);

// Takes the settings of a file that are parts of its [[hooks]] one after another, and gives the hooks at its
// end.
class HookReader {
 public:
  // A bad value or name adds a sentence that starts with the place to `errors`, an unknown name to
  // `warnings`.
  void Take(const Setting& setting, std::vector<std::string>& errors, std::vector<std::string>& warnings);
  HookList Finish(std::vector<std::string>& errors);

 private:
  struct Entry {
    std::string name;   // "hooks[2]"
    std::string where;  // of its table
    Hook hook;
    bool has_event = false;
    bool failed = false;  // something was said of it already
    std::string type;     // empty: what is given tells
  };
  void FinishOne(Entry& entry, std::vector<std::string>& errors);

  std::vector<Entry> entries_;
};

}  // namespace fabro::config
