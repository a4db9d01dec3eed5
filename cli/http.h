// HTTP for the command line, over libcurl. One thread; every wait also watches a descriptor that stands for
// Ctrl-C.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/secret.h"

namespace fabro::cli {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  std::chrono::milliseconds timeout{30'000};  // of the whole exchange; not used by streams
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

inline constexpr std::size_t kMaxResponseBytes = 64 << 20;

// A failure to reach the server has code kUnavailable and reason kUpstream; IsUnreachable() tells.
bool IsUnreachable(const absl::Status& status);

// An answer that is read as it arrives.
class HttpStream {
 public:
  virtual ~HttpStream() = default;

  struct Step {
    std::string bytes;       // what arrived, perhaps nothing
    bool ended = false;      // there will be no more
    absl::Status failure;    // why it ended, when it broke
    std::vector<int> ready;  // which of the watched descriptors can be read
  };
  // Waits until something happens, `timeout` at most.
  virtual Step Wait(std::chrono::milliseconds timeout, const std::vector<int>& watch) = 0;
  virtual long status() const = 0;  // 0 until the head has arrived
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Cancelled when the interrupt descriptor becomes readable.
  virtual absl::StatusOr<HttpResponse> Send(const HttpRequest& request) = 0;
  virtual std::unique_ptr<HttpStream> Open(const HttpRequest& request) = 0;
};

struct ClientTls {   // paths of PEM files
  std::string ca;    // who vouches for the server; empty: the system's authorities
  std::string cert;  // what we show, with its key; empty: nothing
  std::string key;
};

struct HttpOptions {
  SecretString token;  // sent as Bearer when not empty
  ClientTls tls;
  int interrupt_fd = -1;  // -1: none; Open()'s streams get theirs in Wait()
  std::chrono::milliseconds connect_timeout{5'000};
  bool verifies = true;  // the server's certificate; false only for who sends nothing secret
};
std::unique_ptr<HttpClient> MakeHttpClient(HttpOptions options);

// Percent-encodes everything but unreserved characters.
std::string EncodeUrlPart(std::string_view text);
// The host of an absolute http or https URL; empty when it is none.
std::string HostOfUrl(const std::string& url);

}  // namespace fabro::cli
