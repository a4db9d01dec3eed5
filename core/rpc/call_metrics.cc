#include "core/rpc/call_metrics.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/strings.h"
#include "proto/api.h"

namespace fabro::rpc {

CallMetrics::CallMetrics() {
  for (const auto* service : api::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      methods_.emplace(service->method(i)->name(), std::make_unique<Method>());
    }
  }
}

void CallMetrics::Count(std::string_view method, const absl::Status& status, std::chrono::microseconds took,
                        bool is_stream) {
  const auto found = methods_.find(method);
  if (found == methods_.end()) return;
  const auto code = static_cast<std::size_t>(status.code());
  found->second->by_code[std::min(code, found->second->by_code.size() - 1)].Add();
  if (!is_stream) found->second->took.Observe(took);
}

void CallMetrics::Write(metrics::Text& text) const {
  std::vector<std::string_view> names;  // in order, so that two scrapes compare
  for (const auto& [name, method] : methods_) names.push_back(name);
  std::sort(names.begin(), names.end());
  text.Family("fabro_core_calls_total", "counter", "Finished gRPC calls by method and status.");
  for (const std::string_view name : names) {
    const auto& codes = methods_.at(name)->by_code;
    for (std::size_t code = 0; code < codes.size(); ++code) {
      if (codes[code].value() == 0) continue;
      const std::string word = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      text.Sample(codes[code].value(), StrCat("method=\"", name, "\",code=\"", word, '"'));
    }
  }
  text.Family("fabro_core_call_duration_seconds", "histogram", "How long unary gRPC calls took.");
  for (const std::string_view name : names) {
    const Method& method = *methods_.at(name);
    const bool called =
        std::ranges::any_of(method.by_code, [](const auto& code) { return code.value() > 0; });
    if (called) text.Sample(method.took, StrCat("method=\"", name, '"'));
  }
  text.Family("fabro_core_calls_open", "gauge", "gRPC calls that are being answered.");
  text.Sample(static_cast<std::uint64_t>(unary_open.value()), "kind=\"unary\"");
  text.Sample(static_cast<std::uint64_t>(streams_open.value()), "kind=\"stream\"");
  text.Family("fabro_core_calls_shed_total", "counter", "gRPC calls refused because too many were open.");
  text.Sample(shed.value());
}

}  // namespace fabro::rpc
