// A graph's `model_stylesheet`: which model serves which node.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "core/workflow/graph.h"

namespace fabro::workflow {

class Stylesheet {
 public:
  Stylesheet() = default;  // no rules

  // InvalidArgument with a message for people. Takes any bytes, in time linear in them.
  static absl::StatusOr<Stylesheet> Parse(std::string_view text);

  // Sets what the node does not say itself. Each node costs a look-up per class, whatever the number of
  // rules.
  void Apply(Node& node) const;

  const std::vector<std::string>& unknown_properties() const { return unknown_properties_; }
  std::vector<std::string> models() const;
  // The `.class` and `#id` selectors, as written.
  std::vector<std::string> selectors() const;

 private:
  friend class StylesheetParser;

  struct Setting {
    std::string value;
    std::size_t order = 0;  // position in the sheet: the later wins among equals
  };
  using Settings = std::map<std::string, Setting, std::less<>>;  // by canonical property name

  // Rules of one selector are merged, so that applying them does not depend on how many there are.
  std::unordered_map<std::string, Settings> by_selector_;  // "*", "box", ".fast", "#plan"
  std::vector<std::string> unknown_properties_;
};

}  // namespace fabro::workflow
