// What is wrong, or doubtful, in a workflow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fabro::workflow {

enum class Severity : std::uint8_t { kError, kWarning };
std::string_view ToString(Severity severity);  // "error", "warning"

struct Diagnostic {
  std::string rule;  // stable name: "start_node", "syntax", ...
  Severity severity = Severity::kError;
  std::string message;  // for people, valid UTF-8
  std::optional<std::string> node_id;
  std::optional<std::pair<std::string, std::string>> edge;  // from and to
  std::optional<int> line;                                  // from 1
  std::optional<int> column;                                // from 1, in bytes
};

bool HasErrors(const std::vector<Diagnostic>& diagnostics);
// The messages joined with "; ", errors and warnings in their order: the text of the 400 answer.
std::string JoinMessages(const std::vector<Diagnostic>& diagnostics);

}  // namespace fabro::workflow
