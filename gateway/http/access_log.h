// What was answered, for whoever writes it down.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string_view>

namespace fabro::http {

// One answer. The views are valid during the call only.
struct AccessRecord {
  std::string_view verb;
  std::string_view path;  // without the query, which may hold what is not for logs
  int status = 0;
  std::size_t bytes = 0;  // of the body, as sent; of a stream 0
  std::chrono::milliseconds duration{0};
  std::string_view request_id;
  std::string_view peer;
  std::string_view principal;  // empty: nobody known
};
using AccessLog = std::function<void(const AccessRecord&)>;  // called from many threads

}  // namespace fabro::http
