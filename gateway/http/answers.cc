#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <charconv>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/http/http_connection_impl.h"

namespace fabro::http {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t kJoinBytes = 16 * 1024;  // bodies up to this size are copied behind their head
constexpr std::size_t kGzipFromBytes = 1024;
constexpr std::size_t kLargeBytes = std::size_t{1} << 20;

bool MayComeLater(error_code error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

// The date of this second, made once a second and thread.
std::string_view CachedDate(Timestamp now) {
  thread_local std::int64_t second = -1;
  thread_local std::string date;
  if (second != now.unix_ms / 1000) {
    second = now.unix_ms / 1000;
    date = FormatHttpDate(now);
  }
  return date;
}

// The place of an answer that a slow client may leave in memory for long, among all of its kind. One that all
// share takes none.
class LargeAnswer {
 public:
  LargeAnswer(Shared& shared, const Response& response) : shared_(shared) {
    if (response.shared_body || response.text().size() < kLargeBytes) return;
    bytes_ = response.text().size();
    const std::size_t before = shared_.large_answers_bytes.fetch_add(bytes_);
    // One alone may always go: it is no larger than what the core may send.
    admitted_ = before == 0 || before + bytes_ <= shared_.limits.max_large_answers_bytes;
    if (!admitted_) Release();
  }
  ~LargeAnswer() { Release(); }
  LargeAnswer(const LargeAnswer&) = delete;
  LargeAnswer& operator=(const LargeAnswer&) = delete;

  bool admitted() const { return admitted_; }

 private:
  void Release() { shared_.large_answers_bytes -= std::exchange(bytes_, 0); }

  Shared& shared_;
  std::size_t bytes_ = 0;
  bool admitted_ = true;
};

bool IsCompressible(const Response& response) {
  if (response.text().size() < kGzipFromBytes) return false;
  for (const Header& header : response.headers) {
    if (EqualsIgnoreCase(header.name, "Content-Encoding")) return false;
  }
  return true;
}

}  // namespace

HeadOptions HttpConnection::Options(const Exchange& exchange, bool close) {
  HeadOptions options;
  options.date = CachedDate(shared_.time.Now());
  options.security = shared_.security;
  options.request_id = exchange.id;
  options.close = close;
  options.keep_alive_1_0 = exchange.is_1_0 && !close;
  return options;
}

Task<absl::Status> HttpConnection::SendWhole(Exchange exchange, Response response, bool close) {
  const LargeAnswer large(shared_, response);
  if (!large.admitted()) {
    response =
        ErrorResponse(503, "Too many large answers are on their way to clients; try again in a moment.");
    response.headers.push_back({"Retry-After", "1"});
  }
  HeadOptions options = Options(exchange, close);
  if (IsCompressible(response)) {
    options.compressible = true;
    if (exchange.gzip) {
      if (std::optional<std::string> packed = Gzip(response.text())) {
        options.gzip = true;
        response.body = *std::move(packed);
        response.shared_body.reset();
      }
    }
  }
  const bool may_have_body = response.status >= 200 && response.status != 204 && response.status != 304;
  std::string_view body = may_have_body ? response.text() : std::string_view();
  if (may_have_body) options.content_length = body.size();
  if (exchange.head) body = {};
  std::string out;
  out.reserve(640 + (body.size() <= kJoinBytes ? body.size() : 0));
  AppendHead(out, response, options);
  if (body.size() <= kJoinBytes) out += std::exchange(body, {});
  const std::size_t body_bytes = exchange.head ? 0 : response.text().size();
  const std::array<asio::const_buffer, 2> buffers = {asio::const_buffer(out.data(), out.size()),
                                                     asio::const_buffer(body.data(), body.size())};
  std::size_t sent = TrySend(buffers);
  absl::Status status = write_error_;
  if (status.ok() && sent < out.size()) {
    status = co_await SendRest(std::string_view(out).substr(sent));
    sent = out.size();
  }
  if (status.ok() && sent < out.size() + body.size()) {
    status = co_await SendRest(body.substr(sent - out.size()));
  }
  Log(exchange, response.status, body_bytes);
  co_return status;
}

// Sends what the system takes at once: mostly everything, and then no completion has to come round through
// the reactor.
std::size_t HttpConnection::TrySend(std::span<const asio::const_buffer> buffers) {
  error_code error;
  const std::size_t sent = transport_->TryWrite(buffers, error);
  Note(error);
  return sent;
}

void HttpConnection::Note(error_code error) {
  if (error && !MayComeLater(error)) {
    write_error_ = Cancelled("the client is gone");
  }
}

Task<absl::Status> HttpConnection::SendRest(std::string_view bytes) {
  const Phase before = phase_;
  timed_out_ = false;
  Watch();
  while (!bytes.empty() && !aborted_) {
    Arm(Phase::kWriting, shared_.limits.write_timeout);
    error_code error = co_await transport_->AwaitWritable();
    if (!error) {
      const asio::const_buffer buffer(bytes.data(), bytes.size());
      bytes.remove_prefix(transport_->TryWrite({&buffer, 1}, error));
    }
    if (!error || MayComeLater(error)) continue;
    if (timed_out_) {
      write_error_ = absl::DeadlineExceededError("the client takes nothing");
    } else {
      Note(error);
    }
    break;
  }
  Disarm(before);
  if (aborted_) write_error_ = Cancelled("the connection was ended");
  co_return write_error_;
}

// --- streams ---

Task<absl::Status> HttpConnection::SendStream(Exchange exchange, Response response, bool close) {
  chunked_ = !exchange.is_1_0;
  if (!chunked_) close = true;
  HeadOptions options = Options(exchange, close);
  options.chunked = chunked_;
  std::string out;
  AppendHead(out, response, options);
  const asio::const_buffer buffer(out.data(), out.size());
  const std::size_t sent = TrySend({&buffer, 1});
  absl::Status status = write_error_;
  if (status.ok() && sent < out.size()) status = co_await SendRest(std::string_view(out).substr(sent));
  if (!status.ok() || exchange.head) {
    Log(exchange, response.status, 0);
    co_return status;
  }
  // A stream may last for hours: nothing that it does not need stays.
  std::string().swap(out);
  if (input_.empty()) std::string().swap(input_);
  Disarm(Phase::kStreaming);
  Watch();
  bool failed = false;
  try {
    status = co_await response.stream(*this);
  } catch (const std::exception&) {
    failed = true;
  }
  if (failed) status = Internal("a body's stream threw");
  if (status.ok() && !rest_.empty()) status = co_await Flush();
  if (status.ok() && chunked_) status = co_await SendLast();
  Log(exchange, response.status, 0);
  co_return status;
}

Task<absl::Status> HttpConnection::SendLast() {
  static constexpr std::string_view kLast = "0\r\n\r\n";
  const asio::const_buffer buffer(kLast.data(), kLast.size());
  const std::size_t sent = TrySend({&buffer, 1});
  if (write_error_.ok() && sent < kLast.size()) co_return co_await SendRest(kLast.substr(sent));
  co_return write_error_;
}

absl::StatusOr<bool> HttpConnection::TryWrite(std::span<const Piece> pieces) {
  if (aborted_ || !write_error_.ok()) return Cancelled("the client is gone");
  FABRO_CHECK(rest_.empty());
  std::size_t total = 0;
  for (const Piece& piece : pieces) total += piece->size();
  if (total == 0) return true;
  std::array<char, 20> size_line;
  std::size_t line = 0;
  if (chunked_) {
    const auto [end, error] = std::to_chars(size_line.data(), size_line.data() + 16, total, 16);
    line = static_cast<std::size_t>(end - size_line.data());
    size_line[line++] = '\r';
    size_line[line++] = '\n';
  }
  thread_local std::vector<asio::const_buffer> buffers;
  buffers.clear();
  buffers.emplace_back(size_line.data(), line);
  for (const Piece& piece : pieces) buffers.emplace_back(piece->data(), piece->size());
  if (chunked_) buffers.emplace_back("\r\n", 2);
  std::size_t sent = TrySend(buffers);
  if (!write_error_.ok()) {
    AbortNow();
    return write_error_;
  }
  for (const asio::const_buffer& buffer : buffers) {
    if (sent >= buffer.size()) {
      sent -= buffer.size();
      continue;
    }
    rest_.append(static_cast<const char*>(buffer.data()) + sent, buffer.size() - sent);
    sent = 0;
  }
  return rest_.empty();
}

Task<absl::Status> HttpConnection::Flush() {
  if (rest_.empty()) co_return write_error_;
  absl::Status status = co_await SendRest(rest_);
  std::string().swap(rest_);
  if (!status.ok()) AbortNow();
  co_return status;
}

// --- the access log ---

std::int64_t HttpConnection::SteadyMs() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(shared_.time.Steady().time_since_epoch())
      .count();
}

void HttpConnection::Log(const Exchange& exchange, int status, std::size_t bytes) {
  if (!shared_.access_log) return;
  AccessRecord record;
  record.verb = exchange.verb;
  record.path = exchange.path;
  record.status = status;
  record.bytes = bytes;
  record.duration = std::chrono::milliseconds(SteadyMs() - exchange.started_ms);
  record.request_id = exchange.id;
  record.peer = peer_;
  record.principal = exchange.principal;
  shared_.access_log(record);
}

}  // namespace fabro::http
