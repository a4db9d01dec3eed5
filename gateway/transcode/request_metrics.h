// What is counted of every request that a route answers.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/metrics.h"
#include "gateway/route/route_table.h"

namespace fabro::transcode {

// Thread-safe.
class RequestMetrics {
 public:
  explicit RequestMetrics(const route::RouteTable& routes);

  // `route` is null for a path or verb that has none. A stream counts until its head: the rest is its
  // reader's.
  void Count(const route::Route* route, int status, std::chrono::nanoseconds took);

  // In the order of the routes, with what this process is like.
  void Write(metrics::Text& text) const;

 private:
  struct Operation {
    std::string name;  // "StartRun"; "none"
    metrics::Histogram took;
    std::array<metrics::Counter, 5> by_class;  // 1xx to 5xx
  };

  std::vector<std::unique_ptr<Operation>> operations_;  // the last: of no route
  std::unordered_map<const route::Route*, Operation*> of_;
};

}  // namespace fabro::transcode
