#include "core/workflow/diagnostic.h"

#include <algorithm>

namespace fabro::workflow {

std::string_view ToString(Severity severity) { return severity == Severity::kError ? "error" : "warning"; }

bool HasErrors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

std::string JoinMessages(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!out.empty()) out += "; ";
    out += diagnostic.message;
  }
  return out;
}

}  // namespace fabro::workflow
