#include "gateway/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <utility>

#include "core/base/strings.h"
#include "gateway/http/chunks.h"

namespace fabro::http {
namespace beast = boost::beast;
using beast::error_code;

namespace {

std::string ToString(beast::string_view text) { return {text.data(), text.size()}; }

Fault FaultOf(const error_code& error) {
  if (error == beast::http::error::body_limit)
    return {413, "The body is larger than this server takes (limits.max_body_bytes)."};
  if (error == beast::http::error::header_limit)
    return {431, "The request's headers are larger than this server takes (limits.max_header_bytes)."};
  return {400, "The request is malformed."};
}

// Splits an absolute target into authority and origin form.
void Normalise(Request& request) {
  const std::size_t scheme_end = request.target.find("://");
  if (request.target.starts_with('/') || scheme_end == std::string::npos) return;
  const std::size_t begin = scheme_end + 3;
  const std::size_t end = std::min(request.target.find_first_of("/?", begin), request.target.size());
  request.authority = request.target.substr(begin, end - begin);
  std::string rest = request.target.substr(end);
  request.target = rest.starts_with('/') ? std::move(rest) : "/" + rest;
}

}  // namespace

class RequestParser::Impl final : public beast::http::basic_parser<true> {
 public:
  explicit Impl(const HttpLimits& l) : limits(l) {
    header_limit(static_cast<std::uint32_t>(l.max_header_bytes));
    body_limit(static_cast<std::uint64_t>(l.max_body_bytes));
    eager(false);  // the head alone; we read the body
  }

  // The whole head, as CheckHead let it pass.
  std::optional<Fault> ReadHead(std::string_view head) {
    error_code error;
    put(boost::asio::const_buffer(head.data(), head.size()), error);
    if (error) return FaultOf(error);
    if (!head_read) return Fault{400, "The request is malformed."};
    if (bad_expectation) return Fault{417, "The only expectation understood here is 100-continue."};
    if (chunked()) {
      chunks.emplace(limits.max_body_bytes);
    } else if (const auto length = content_length()) {
      left = static_cast<std::size_t>(*length);
      // Not more than a part in advance: a client that only claims a large body must not cost one.
      request.body.reserve(std::min<std::size_t>(left, 64 * 1024));
    }
    return std::nullopt;
  }

  Progress ReadBody(std::string_view input) {
    Progress progress;
    if (chunks) {
      const ChunkReader::Progress read = chunks->Feed(input, request.body);
      progress.consumed = read.consumed;
      progress.fault = read.fault;
    } else {
      progress.consumed = std::min(left, input.size());
      request.body += input.substr(0, progress.consumed);
      left -= progress.consumed;
    }
    return progress;
  }

  bool whole() const { return head_read && (chunks ? chunks->done() : left == 0); }

  const HttpLimits limits;
  HeadScanner scanner;
  std::optional<ChunkReader> chunks;  // set: the body is chunked
  std::size_t left = 0;               // otherwise: of the body by Content-Length
  Request request;
  bool head_read = false;
  bool wants_continue = false;
  bool bad_expectation = false;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       error_code& error) override {
    error = {};
    request.verb = ToString(method);
    request.target = ToString(target);
    request.minor_version = version % 10;
  }
  void on_response_impl(int, beast::string_view, int, error_code&) override {}

  void on_field_impl(beast::http::field field, beast::string_view name, beast::string_view value,
                     error_code& error) override {
    error = {};
    if (field == beast::http::field::host) request.authority = ToString(value);
    if (field == beast::http::field::expect) {
      wants_continue = beast::iequals(value, "100-continue");
      bad_expectation = !wants_continue;
    }
    request.headers.push_back({ToLower(std::string_view(name.data(), name.size())), ToString(value)});
  }

  void on_header_impl(error_code& error) override {
    error = {};
    head_read = true;
    Normalise(request);
  }

  // The body never reaches this parser.
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code& error) override { error = {}; }
  std::size_t on_body_impl(beast::string_view, error_code& error) override { return Unexpected(error); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code& error) override {
    Unexpected(error);
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, error_code& error) override {
    return Unexpected(error);
  }
  static std::size_t Unexpected(error_code& error) {
    error = beast::http::error::bad_value;
    return 0;
  }
  void on_finish_impl(error_code& error) override { error = {}; }
};

RequestParser::RequestParser(const HttpLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::Progress RequestParser::Feed(std::string_view input) {
  Progress progress;
  if (!impl_->head_read) {
    const HeadScanner::Result scan = impl_->scanner.Scan(input, impl_->limits);
    progress.fault = scan.fault;
    if (scan.fault || scan.size == 0) return progress;
    const std::string_view head = input.substr(0, scan.size);
    progress.fault = CheckHead(head, impl_->limits);
    if (!progress.fault) progress.fault = impl_->ReadHead(head);
    if (progress.fault) return progress;
    progress.consumed = scan.size;
  }
  const Progress body = impl_->ReadBody(input.substr(progress.consumed));
  progress.consumed += body.consumed;
  progress.fault = body.fault;
  return progress;
}

bool RequestParser::head_done() const { return impl_->head_read; }
bool RequestParser::done() const { return impl_->whole(); }
bool RequestParser::keep_alive() const { return impl_->keep_alive(); }
bool RequestParser::expects_continue() const {
  return impl_->wants_continue && impl_->request.minor_version == 1;
}
const Request& RequestParser::request() const { return impl_->request; }
Request RequestParser::Take() { return std::move(impl_->request); }

}  // namespace fabro::http
