#include "cli/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/startable.h"

namespace fabro::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

absl::Status Unreachable(std::string_view message) { return Unavailable(Reason::kUpstream, "", message); }

// One exchange: an easy handle in a multi handle of its own, so that a wait can watch other descriptors too.
class Exchange {
 public:
  Exchange(const HttpOptions& options, const HttpRequest& request) : request_(request) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    easy_ = curl_easy_init();
    multi_ = curl_multi_init();
    FABRO_CHECK(easy_ != nullptr && multi_ != nullptr);
    SetUp(options);
    curl_multi_add_handle(multi_, easy_);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() {
    curl_multi_remove_handle(multi_, easy_);
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
  }

  // Moves data; then waits if nothing has arrived. Fills `ready` with the watched descriptors that can be
  // read.
  void Wait(milliseconds timeout, const std::vector<int>& watch, std::vector<int>* ready) {
    Perform();
    if (done_) timeout = milliseconds(0);
    std::vector<curl_waitfd> descriptors;
    for (const int fd : watch) descriptors.push_back({.fd = fd, .events = CURL_WAIT_POLLIN, .revents = 0});
    const int ms = static_cast<int>(std::clamp<std::int64_t>(timeout.count(), 0, 60'000));
    curl_multi_poll(multi_, descriptors.data(), static_cast<unsigned>(descriptors.size()), ms, nullptr);
    for (const curl_waitfd& descriptor : descriptors) {
      if (descriptor.revents != 0) ready->push_back(descriptor.fd);
    }
    Perform();
  }

  bool done() const { return done_; }
  const absl::Status& failure() const { return failure_; }
  HttpResponse& response() { return response_; }
  long status() const {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

 private:
  void SetUp(const HttpOptions& options) {
    Set(CURLOPT_URL, request_.url.c_str());
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_NOSIGNAL, 1L);
    if (!options.verifies) {
      Set(CURLOPT_SSL_VERIFYPEER, 0L);
      Set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
    Set(CURLOPT_USERAGENT, "fabro");
    Set(CURLOPT_ERRORBUFFER, error_);
    Set(CURLOPT_WRITEFUNCTION, &Exchange::OnBody);
    Set(CURLOPT_WRITEDATA, this);
    Set(CURLOPT_HEADERFUNCTION, &Exchange::OnHeader);
    Set(CURLOPT_HEADERDATA, this);
    Set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    if (request_.method == "POST" || !request_.body.empty()) {
      Set(CURLOPT_POSTFIELDS, request_.body.data());
      Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    }
    // A proxy of the environment is for the world outside; one that is asked for localhost finds its own.
    if (config::IsLoopbackHost(HostOfUrl(request_.url))) Set(CURLOPT_PROXY, "");
    for (const std::string& header : request_.headers) AddHeader(header);
    AddHeader("Expect:");  // no 100-continue: it would cost a second with a server that does not answer it
    if (!options.token.empty()) AddHeader(StrCat("Authorization: Bearer ", options.token.Reveal()));
    Set(CURLOPT_HTTPHEADER, headers_);
    if (!options.tls.ca.empty()) Set(CURLOPT_CAINFO, options.tls.ca.c_str());
    if (!options.tls.cert.empty()) Set(CURLOPT_SSLCERT, options.tls.cert.c_str());
    if (!options.tls.key.empty()) Set(CURLOPT_SSLKEY, options.tls.key.c_str());
  }

  template <typename T>
  void Set(CURLoption option, T value) {
    curl_easy_setopt(easy_, option, value);
  }
  void AddHeader(const std::string& header) { headers_ = curl_slist_append(headers_, header.c_str()); }

  static std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    if (exchange->response_.body.size() + size * count > kMaxResponseBytes)
      return 0;  // ends with CURLE_WRITE_ERROR
    exchange->response_.body.append(data, size * count);
    return size * count;
  }

  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* self) {
    const std::string_view line(data, size * count);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      auto& headers = static_cast<Exchange*>(self)->response_.headers;
      headers[ToLower(line.substr(0, colon))] = Trim(line.substr(colon + 1));
    }
    return size * count;
  }

  void Perform() {
    int running = 0;
    curl_multi_perform(multi_, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      done_ = true;
      if (message->data.result != CURLE_OK) failure_ = Failure(message->data.result);
    }
  }

  absl::Status Failure(CURLcode code) const {
    const std::string why = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
      return InvalidArgument(Reason::kInvalidArgument, request_.url, StrCat(request_.url, ": ", why));
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
      return FailedPrecondition(Reason::kInvalidArgument, request_.url,
                                StrCat(request_.url, ": the server's certificate is not trusted: ", why,
                                       "; --ca FILE (or FABRO_CA) names the authority that has signed it"));
    }
    if (code == CURLE_SSL_CERTPROBLEM) {
      return FailedPrecondition(Reason::kInvalidArgument, request_.url,
                                StrCat("the certificate of --cert or its --key cannot be used: ", why));
    }
    if (why.find("alert") != std::string::npos && why.find("certificate") != std::string::npos) {
      return Error(absl::StatusCode::kUnauthenticated, Reason::kUnauthenticated, request_.url,
                   StrCat("the server does not take our certificate, or wants one: ", why));
    }
    return Unreachable(why);
  }

  const HttpRequest request_;  // curl refers to its body and URL
  CURL* easy_ = nullptr;
  CURLM* multi_ = nullptr;
  curl_slist* headers_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
  HttpResponse response_;
  bool done_ = false;
  absl::Status failure_;
};

class CurlStream final : public HttpStream {
 public:
  CurlStream(const HttpOptions& options, const HttpRequest& request) : exchange_(options, request) {}

  Step Wait(milliseconds timeout, const std::vector<int>& watch) override {
    Step step;
    exchange_.Wait(timeout, watch, &step.ready);
    step.bytes = std::exchange(exchange_.response().body, "");
    step.ended = exchange_.done();
    step.failure = exchange_.failure();
    return step;
  }
  long status() const override { return exchange_.status(); }

 private:
  Exchange exchange_;
};

class CurlClient final : public HttpClient {
 public:
  explicit CurlClient(HttpOptions options) : options_(std::move(options)) {}

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override {
    Exchange exchange(options_, request);
    std::vector<int> watch;
    if (options_.interrupt_fd >= 0) watch.push_back(options_.interrupt_fd);
    const Clock::time_point end = Clock::now() + request.timeout;
    while (!exchange.done()) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      if (left.count() <= 0) {
        return Unreachable(StrCat("no answer within ", request.timeout.count() / 1000, " s"));
      }
      std::vector<int> ready;
      exchange.Wait(std::min(left, milliseconds(1'000)), watch, &ready);
      if (!ready.empty()) return Cancelled("interrupted");
    }
    if (!exchange.failure().ok()) return exchange.failure();
    exchange.response().status = exchange.status();
    return std::move(exchange.response());
  }

  std::unique_ptr<HttpStream> Open(const HttpRequest& request) override {
    return std::make_unique<CurlStream>(options_, request);
  }

 private:
  const HttpOptions options_;
};

}  // namespace

bool IsUnreachable(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable && ReasonOf(status) == Reason::kUpstream;
}

std::unique_ptr<HttpClient> MakeHttpClient(HttpOptions options) {
  return std::make_unique<CurlClient>(std::move(options));
}

std::string EncodeUrlPart(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
        c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string HostOfUrl(const std::string& url) {
  CURLU* handle = curl_url();
  char* host = nullptr;
  char* scheme = nullptr;
  std::string out;
  if (curl_url_set(handle, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
      curl_url_get(handle, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
      (std::string_view(scheme) == "http" || std::string_view(scheme) == "https")) {
    out = host;
  }
  curl_free(host);
  curl_free(scheme);
  curl_url_cleanup(handle);
  return out;
}

}  // namespace fabro::cli
