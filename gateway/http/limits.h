// How much of everything one client may use.
#pragma once

#include <chrono>
#include <cstddef>

namespace fabro::http {

struct HttpLimits {
  std::size_t max_request_line_bytes = 8 * 1024;                 // 414
  std::size_t max_header_bytes = 32 * 1024;                      // request line included; 431
  std::size_t max_headers = 100;                                 // 431
  std::size_t max_body_bytes = 4 * 1024 * 1024;                  // 413
  std::size_t max_large_answers_bytes = std::size_t{256} << 20;  // on their way, of over 1 MiB; 503
  std::size_t max_connections = 10'000;                          // 503
  std::size_t max_connections_per_address = 0;                   // 503; 0: no bound
  std::chrono::milliseconds idle_timeout{60'000};                // between requests
  std::chrono::milliseconds header_timeout{10'000};              // from a head's first byte to its last; 408
  std::chrono::milliseconds body_timeout{30'000};                // 408
  std::chrono::milliseconds write_timeout{30'000};  // a client that takes nothing for so long is cut off
  std::chrono::milliseconds linger_timeout{
      1'000};  // for the client to read an answer that ends the connection
  // Time-outs are looked at this often, and fall due that much late. Also: a call that takes longer than this
  // has its connection watched for a client that leaves.
  std::chrono::milliseconds tick{200};
};

}  // namespace fabro::http
