// Requests to HTTP servers elsewhere, of any number at once, on one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/deadline.h"
#include "core/async/task.h"

namespace fabro::net {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http or https
  HttpHeaders headers;
  std::string body;
  Deadline deadline = Deadline::In(std::chrono::seconds(60));  // of the whole exchange
  std::size_t max_response_bytes = std::size_t{1} << 20;       // of the body; more fails the exchange
  bool verify_tls = true;
  std::string ca_file;  // PEM of the authorities to trust; empty: those of the system
  std::string proxy;    // URL; empty: none, whatever the environment says
};

struct HttpHead {
  int status = 0;
  HttpHeaders headers;  // in their order, names in lower case
};

struct HttpResponse {
  HttpHead head;
  std::string body;
};

// An exchange that is under way. One coroutine uses it: the head first, then the body to its end. Destroying
// it gives the exchange up. A reader that is slow slows the server: little is held here.
class HttpExchange {
 public:
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  Task<absl::StatusOr<HttpHead>> Head();     // once
  Task<absl::StatusOr<std::string>> Read();  // the next piece of the body; empty: that was all

 private:
  friend class HttpClient;
  struct Transfer;
  struct Loop;
  HttpExchange(std::shared_ptr<Loop> loop, std::shared_ptr<Transfer> transfer);
  const std::shared_ptr<Loop> loop_;          // shared with the client: who reads may outlive it
  const std::shared_ptr<Transfer> transfer_;  // shared with the loop, which lets go of it a moment later
};

// Thread-safe. Follows no redirect, keeps no cookie, reads neither a proxy nor a password from the
// environment or from a file. Connections are kept open for the next request.
//
// InvalidArgument: the request is none that can be sent. DeadlineExceeded. ResourceExhausted: the response,
// or the number of exchanges under way, is beyond its limit. Unavailable: everything that the network does.
// Any status that the server answers is a response. Messages name the server alone: the rest of a URL, and
// every header, may be a secret.
class HttpClient {
 public:
  explicit HttpClient(std::size_t max_exchanges = 1024);
  ~HttpClient();  // ends what is under way as Unavailable
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // For a response that is read while it comes.
  absl::StatusOr<std::unique_ptr<HttpExchange>> Start(HttpRequest request);

  // The whole response. Cancelling the caller gives the exchange up.
  Task<absl::StatusOr<HttpResponse>> Fetch(HttpRequest request);

 private:
  const std::shared_ptr<HttpExchange::Loop> loop_;
};

}  // namespace fabro::net
