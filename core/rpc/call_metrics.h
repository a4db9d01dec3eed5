// What is counted of every call.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "core/base/metrics.h"

namespace fabro::rpc {

// Thread-safe.
class CallMetrics {
 public:
  CallMetrics();  // a place for every method of the API

  // A stream's time is its reader's, so it is counted and not measured.
  void Count(std::string_view method, const absl::Status& status, std::chrono::microseconds took,
             bool is_stream);

  metrics::Gauge unary_open;
  metrics::Gauge streams_open;
  metrics::Counter shed;  // refused because too many were open

  void Write(metrics::Text& text) const;

 private:
  struct Method {
    metrics::Histogram took;
    std::array<metrics::Counter, 17> by_code;  // absl::StatusCode
  };

  std::unordered_map<std::string_view, std::unique_ptr<Method>> methods_;  // only made in the constructor
};

}  // namespace fabro::rpc
