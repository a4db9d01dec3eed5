#include <array>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <exception>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/strings.h"
#include "gateway/http/connection_impl.h"
#include "gateway/http/request_parser.h"
#include "gateway/http/wire.h"

namespace fabro::http {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kHeadReadBytes = 2 * 1024;
constexpr std::size_t kBodyReadBytes = 32 * 1024;
constexpr std::size_t kKeptBytes = 4 * 1024;      // capacity that an idle connection may keep
constexpr std::size_t kMaxReadAhead = 16 * 1024;  // bytes of later requests taken while one is being answered
constexpr std::size_t kMaxLingerBytes =
    256 * 1024;                                // read and dropped so that our last answer is not reset away
constexpr std::size_t kJoinBytes = 16 * 1024;  // bodies up to this size are copied behind their head
constexpr std::size_t kGzipFromBytes = 1024;
constexpr std::size_t kMaxRequestIdBytes = 128;

enum class Phase : std::uint8_t { kIdle, kHead, kBody, kHandling, kStreaming, kWriting, kLingering };

std::string MakeRequestId() {
  static constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
  const std::uint64_t words[] = {SystemRandom().Next(), SystemRandom().Next()};
  std::string id(15, '0');  // 75 bits, and no allocation
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = kDigits[(words[i / 12] >> (i % 12 * 5)) & 31];
  return id;
}

bool IsRequestId(std::string_view text) {
  if (text.empty() || text.size() > kMaxRequestIdBytes) return false;
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return true;
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

bool IsCompressible(const Response& response) {
  if (response.text().size() < kGzipFromBytes) return false;
  for (const Header& header : response.headers) {
    if (EqualsIgnoreCase(header.name, "Content-Encoding")) return false;
  }
  return true;
}

// What is remembered of a request after the handler took it.
struct Exchange {
  std::string id;
  std::string verb;
  std::string path;  // this and the next for the access log only
  std::string principal;
  bool head = false;
  bool gzip = false;
  bool is_1_0 = false;
  bool keep_alive = false;
  std::int64_t started_ms = 0;
};

template <typename Stream>
class ConnectionOn final : public Connection, private BodyWriter {
 public:
  ConnectionOn(Stream stream, Executor strand, std::string peer, Shared& shared, bool refuse)
      : stream_(std::move(stream)),
        strand_(std::move(strand)),
        peer_(std::move(peer)),
        shared_(shared),
        refuse_(refuse) {}

  Task<void> Run() override {
    const std::shared_ptr<Connection> self = shared_from_this();
    bool more = true;
    while (more) more = co_await ServeOne();
    if (linger_ && !aborted_) co_await Linger();
    Close();
  }

  void SetTask(TaskHandle task) override {
    asio::post(strand_, [self = Self(), task = std::move(task)]() mutable {
      if (self->aborted_) task.Cancel();
      self->task_ = std::move(task);
    });
  }

  void CheckDeadline(std::int64_t now_ms) override {
    std::int64_t due = deadline_.load(std::memory_order_relaxed);
    if (due > now_ms || !deadline_.compare_exchange_strong(due, kNever)) return;
    asio::post(strand_, [self = Self()] { self->OnDeadline(); });
  }

  void Drain() override {
    asio::post(strand_, [self = Self()] {
      if (self->phase_ == Phase::kIdle && self->input_.empty()) self->CancelIo();
    });
  }

  void Abort() override {
    asio::post(strand_, [self = Self()] { self->AbortNow(); });
  }

 private:
  std::shared_ptr<ConnectionOn> Self() { return std::static_pointer_cast<ConnectionOn>(shared_from_this()); }

  // --- time ---

  void Arm(Phase phase, std::chrono::milliseconds timeout) {
    phase_ = phase;
    armed_until_ = shared_.now_ms.load(std::memory_order_relaxed) + timeout.count();
    deadline_.store(armed_until_, std::memory_order_relaxed);
  }
  void Disarm(Phase phase) {
    phase_ = phase;
    armed_until_ = kNever;
    deadline_.store(kNever, std::memory_order_relaxed);
  }

  void OnDeadline() {
    if (armed_until_ > shared_.now_ms.load(std::memory_order_relaxed)) {  // armed anew meanwhile
      deadline_.store(armed_until_, std::memory_order_relaxed);
      return;
    }
    if (phase_ == Phase::kHandling) {
      Disarm(phase_);
      Watch();
      return;
    }
    timed_out_ = true;
    CancelIo();
  }

  void CancelIo() {
    error_code ignored;
    stream_.cancel(ignored);
  }

  void Close() {
    error_code ignored;
    stream_.shutdown(asio::socket_base::shutdown_both, ignored);
    stream_.close(ignored);
  }

  // The client has gone, or the server goes: whatever this connection waits for ends with an error.
  void AbortNow() {
    if (aborted_) return;
    aborted_ = true;
    Close();
    task_.Cancel();
  }

  // --- a client that leaves while we work for it ---

  void Watch() {
    if (watching_ || aborted_) return;
    watching_ = true;
    stream_.async_wait(
        asio::socket_base::wait_read,
        asio::bind_executor(strand_, [self = Self()](error_code error) { self->OnReadable(error); }));
  }

  void OnReadable(error_code error) {
    watching_ = false;
    if (error || (phase_ != Phase::kHandling && phase_ != Phase::kStreaming && phase_ != Phase::kWriting))
      return;
    if (input_.size() >= kMaxReadAhead) return;  // a pipeline so full is read on when its turn comes
    std::array<char, 2048> bytes;
    const std::size_t size = stream_.read_some(asio::buffer(bytes), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) {
      AbortNow();
      return;
    }
    input_.append(bytes.data(), size);
    Watch();
  }

  // --- reading ---

  struct Incoming {
    bool closed = false;
    std::optional<Fault> fault;
  };

  Task<Incoming> ReadRequest() {
    parser_ = std::make_unique<RequestParser>(shared_.limits);
    timed_out_ = false;
    bool continued = false;
    Incoming incoming;
    Arm(Phase::kIdle, shared_.limits.idle_timeout);
    while (true) {
      if (phase_ == Phase::kIdle) SkipBlankLines();
      if (!input_.empty()) {
        if (phase_ == Phase::kIdle) Arm(Phase::kHead, shared_.limits.header_timeout);
        const RequestParser::Progress progress = parser_->Feed(input_);
        input_.erase(0, progress.consumed);
        incoming.fault = progress.fault;
        if (progress.fault || parser_->done()) break;
        if (parser_->head_done() && phase_ == Phase::kHead) Arm(Phase::kBody, shared_.limits.body_timeout);
        if (parser_->head_done() && parser_->expects_continue() && !continued && input_.empty()) {
          continued = true;
          SendContinue();
        }
      } else if (shared_.draining.load(std::memory_order_relaxed) && phase_ == Phase::kIdle) {
        incoming.closed = true;
        break;
      }
      const error_code error = co_await ReadSome();
      if (!error) continue;
      if (timed_out_ && phase_ != Phase::kIdle && !aborted_) {
        incoming.fault = Fault{408, "The request did not arrive in time."};
      } else {
        incoming.closed = true;
      }
      break;
    }
    co_return incoming;
  }

  // RFC 9112 2.2: a client may send empty lines before a request.
  void SkipBlankLines() {
    std::size_t blank = 0;
    while (input_.compare(blank, 2, "\r\n") == 0) blank += 2;
    input_.erase(0, blank);
  }

  // Small enough to always fit what the system holds for a connection that has sent nothing yet.
  void SendContinue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    error_code ignored;  // a connection that fails here fails at the next read
    stream_.write_some(asio::buffer(kContinue.data(), kContinue.size()), ignored);
  }

  Task<error_code> ReadSome() {
    const std::size_t old = input_.size();
    const std::size_t room = phase_ == Phase::kBody ? kBodyReadBytes : kHeadReadBytes;
    input_.resize(old + room);
    error_code error;
    const std::size_t size = co_await stream_.async_read_some(
        asio::buffer(input_.data() + old, room), asio::redirect_error(asio::use_awaitable, error));
    input_.resize(old + size);
    co_return error;
  }

  // --- one request and its answer ---

  Task<bool> ServeOne() {
    const Incoming incoming = co_await ReadRequest();
    if (incoming.closed || aborted_) {
      parser_.reset();
      co_return false;
    }
    Exchange exchange = TakeFacts(incoming);
    Response response;
    if (incoming.fault) {
      parser_.reset();
      response = ErrorResponse(incoming.fault->status, incoming.fault->detail);
      linger_ = true;
    } else if (refuse_) {
      parser_.reset();
      response = ErrorResponse(503, "The server has too many connections.");
      response.headers.push_back({"Retry-After", "1"});
      linger_ = true;
    } else {
      Request request = parser_->Take();
      parser_.reset();
      request.id = exchange.id;
      request.peer = peer_;
      Trim(input_);
      Arm(Phase::kHandling, shared_.limits.tick);
      bool failed = false;
      try {
        response = co_await shared_.handler->Handle(std::move(request));
      } catch (const std::exception&) {
        failed = true;
      }
      if (failed) response = ErrorResponse(500, StrCat("Internal error; request id ", exchange.id, "."));
      exchange.principal = std::move(response.principal);
      if (aborted_) co_return false;
    }
    const bool close =
        linger_ || response.close || !exchange.keep_alive || shared_.draining.load(std::memory_order_relaxed);
    const absl::Status sent = response.stream ? co_await SendStream(exchange, std::move(response), close)
                                              : co_await SendWhole(exchange, std::move(response), close);
    co_return sent.ok() && !close;
  }

  Exchange TakeFacts(const Incoming& incoming) {
    const Request& request = parser_->request();
    Exchange exchange;
    const std::optional<std::string_view> id = request.Find("x-request-id");
    exchange.id = id && IsRequestId(*id) ? std::string(*id) : MakeRequestId();
    if (parser_->head_done()) {
      exchange.head = request.verb == "HEAD";
      exchange.is_1_0 = request.minor_version == 0;
      exchange.keep_alive = !incoming.fault && parser_->keep_alive();
      if (const auto encodings = request.Find("accept-encoding")) exchange.gzip = AcceptsGzip(*encodings);
    }
    if (shared_.access_log) {
      exchange.verb = request.verb;
      exchange.path = request.path();
      exchange.started_ms = SteadyMs();
    }
    return exchange;
  }

  std::int64_t SteadyMs() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(shared_.time.Steady().time_since_epoch())
        .count();
  }

  void Log(const Exchange& exchange, int status, std::size_t bytes) {
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

  HeadOptions Options(const Exchange& exchange, bool close) {
    HeadOptions options;
    options.date = CachedDate(shared_.time.Now());
    options.security = shared_.security;
    options.request_id = exchange.id;
    options.close = close;
    options.keep_alive_1_0 = exchange.is_1_0 && !close;
    return options;
  }

  Task<absl::Status> SendWhole(Exchange exchange, Response response, bool close) {
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
    std::size_t sent =
        TrySend({asio::const_buffer(out.data(), out.size()), asio::const_buffer(body.data(), body.size())});
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
  std::size_t TrySend(const std::array<asio::const_buffer, 2>& buffers) {
    error_code error;
    const std::size_t sent = stream_.write_some(buffers, error);
    Note(error);
    return sent;
  }

  void Note(error_code error) {
    if (error && error != asio::error::would_block && error != asio::error::try_again) {
      write_error_ = Cancelled("the client is gone");
    }
  }

  // The bytes must live until it completes.
  Task<absl::Status> SendRest(std::string_view bytes) {
    const Phase before = phase_;
    timed_out_ = false;
    Watch();
    while (!bytes.empty() && !aborted_) {
      Arm(Phase::kWriting, shared_.limits.write_timeout);
      error_code error;
      const std::size_t sent = co_await stream_.async_write_some(
          asio::buffer(bytes.data(), bytes.size()), asio::redirect_error(asio::use_awaitable, error));
      bytes.remove_prefix(sent);
      if (!error) continue;
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

  Task<absl::Status> SendStream(Exchange exchange, Response response, bool close) {
    chunked_ = !exchange.is_1_0;
    if (!chunked_) close = true;
    HeadOptions options = Options(exchange, close);
    options.chunked = chunked_;
    std::string out;
    AppendHead(out, response, options);
    const std::size_t sent = TrySend({asio::const_buffer(out.data(), out.size()), asio::const_buffer()});
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

  Task<absl::Status> SendLast() {
    static constexpr std::string_view kLast = "0\r\n\r\n";
    const std::size_t sent = TrySend({asio::const_buffer(kLast.data(), kLast.size()), asio::const_buffer()});
    if (write_error_.ok() && sent < kLast.size()) co_return co_await SendRest(kLast.substr(sent));
    co_return write_error_;
  }

  absl::StatusOr<bool> TryWrite(std::span<const Piece> pieces) override {
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
    error_code error;
    std::size_t sent = stream_.write_some(buffers, error);
    Note(error);
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

  Task<absl::Status> Flush() override {
    if (rest_.empty()) co_return write_error_;
    absl::Status status = co_await SendRest(rest_);
    std::string().swap(rest_);
    if (!status.ok()) AbortNow();
    co_return status;
  }

  // --- the end ---

  // Closing with unread bytes would reset the connection and might take our last answer from the client.
  Task<void> Linger() {
    error_code ignored;
    stream_.shutdown(asio::socket_base::shutdown_send, ignored);
    Arm(Phase::kLingering, shared_.limits.linger_timeout);
    std::size_t dropped = 0;
    input_.clear();
    while (dropped < kMaxLingerBytes && !aborted_) {
      const error_code error = co_await ReadSome();
      if (error) co_return;
      dropped += input_.size();
      input_.clear();
    }
  }

  static void Trim(std::string& text) {
    if (text.empty() && text.capacity() > kKeptBytes) std::string().swap(text);
  }

  Stream stream_;
  const Executor strand_;
  const std::string peer_;
  Shared& shared_;
  const bool refuse_;
  std::atomic<std::int64_t> deadline_{kNever};
  std::int64_t armed_until_ = kNever;  // this and all below: on the strand only
  Phase phase_ = Phase::kIdle;
  bool timed_out_ = false;
  bool aborted_ = false;
  bool watching_ = false;
  bool linger_ = false;
  bool chunked_ = true;
  absl::Status write_error_;
  std::string input_;                      // bytes read and not yet used
  std::string rest_;                       // of a stream: bytes that the system did not take yet
  std::unique_ptr<RequestParser> parser_;  // only while a request is being read
  TaskHandle task_;
};

}  // namespace

Shared::Shared(TimeSource& t, HttpLimits l, AccessLog log, std::string security_lines)
    : time(t), limits(l), access_log(std::move(log)), security(std::move(security_lines)) {}

std::shared_ptr<Connection> MakeConnection(PlainSocket socket, Executor strand, std::string peer,
                                           Shared& shared, bool refuse) {
  return std::make_shared<ConnectionOn<PlainSocket>>(std::move(socket), std::move(strand), std::move(peer),
                                                     shared, refuse);
}

}  // namespace fabro::http
