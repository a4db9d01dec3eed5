#include "gateway/transcode/request_metrics.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "core/base/strings.h"

namespace fabro::transcode {

RequestMetrics::RequestMetrics(const route::RouteTable& routes) {
  for (const route::Route* route : routes.routes()) {
    Operation* operation = operations_.emplace_back(std::make_unique<Operation>()).get();
    operation->name = route->method->name();
    of_.emplace(route, operation);
  }
  operations_.push_back(std::make_unique<Operation>());
  operations_.back()->name = "none";
}

void RequestMetrics::Count(const route::Route* route, int status, std::chrono::nanoseconds took) {
  const auto found = of_.find(route);
  Operation& operation = found == of_.end() ? *operations_.back() : *found->second;
  operation.took.Observe(took);
  operation.by_class[static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1)].Add();
}

void RequestMetrics::Write(metrics::Text& text) const {
  text.Family("fabro_http_requests_total", "counter",
              "Answered HTTP requests by operation and class of status.");
  for (const auto& operation : operations_) {
    for (std::size_t i = 0; i < operation->by_class.size(); ++i) {
      const std::uint64_t count = operation->by_class[i].value();
      if (count > 0) {
        text.Sample(count, StrCat("operation=\"", operation->name, "\",status=\"", i + 1, "xx\""));
      }
    }
  }
  text.Family("fabro_http_request_duration_seconds", "histogram",
              "How long HTTP requests took until their answer was there, of a stream its head.");
  for (const auto& operation : operations_) {
    const bool asked =
        std::ranges::any_of(operation->by_class, [](const auto& counter) { return counter.value() > 0; });
    if (asked) text.Sample(operation->took, StrCat("operation=\"", operation->name, '"'));
  }
  text.AddProcess("fabro_gateway_process");
}

}  // namespace fabro::transcode
