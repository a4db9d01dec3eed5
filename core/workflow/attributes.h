// Every attribute of the language, once: its name, its aliases, what values it takes and where it goes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/workflow/graph.h"
#include "core/workflow/rules.h"

namespace fabro::workflow {

enum AttributeScope : std::uint8_t { kGraphScope, kNodeScope, kEdgeScope };

// The name under which an attribute is kept: aliases give the name they stand for, anything else itself.
std::string_view CanonicalName(AttributeScope scope, std::string_view name);

bool IsLanguageAttribute(AttributeScope scope, std::string_view canonical_name);
// One of Graphviz's that changes how the graph is drawn and nothing else.
bool IsDrawingAttribute(std::string_view name);
std::vector<std::string> AttributeNames(AttributeScope scope);  // of the language, aliases included

// Why a value was not taken.
struct BadValue {
  Rule rule = Rule::kAttributeType;
  std::string_view expected;  // "a duration such as 30s"
};

// Set the typed field; names that have none are ignored.
std::optional<BadValue> SetAttribute(Graph& graph, std::string_view name, std::string_view value);
std::optional<BadValue> SetAttribute(Node& node, std::string_view name, std::string_view value);
std::optional<BadValue> SetAttribute(Edge& edge, std::string_view name, std::string_view value);

// "250ms", "15m", or whole seconds; at most ten years.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);

}  // namespace fabro::workflow
