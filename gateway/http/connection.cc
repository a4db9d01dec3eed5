#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/http/http_connection_impl.h"
#include "gateway/http/request_id.h"

namespace fabro::http {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t kHeadReadBytes = 2 * 1024;
constexpr std::size_t kBodyReadBytes = 32 * 1024;
constexpr std::size_t kKeptBytes = 4 * 1024;      // capacity that an idle connection may keep
constexpr std::size_t kMaxReadAhead = 16 * 1024;  // bytes of later requests taken while one is being answered
// Read and dropped so that our last answer is not reset away.
constexpr std::size_t kMaxLingerBytes = 256 * 1024;

bool MayComeLater(error_code error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

void Trim(std::string& text) {
  if (text.empty() && text.capacity() > kKeptBytes) std::string().swap(text);
}

}  // namespace

// --- life ---

Task<void> HttpConnection::Run() {
  const std::shared_ptr<Connection> self = shared_from_this();
  bool more = co_await Greet();
  while (more) more = co_await ServeOne();
  if (linger_ && !aborted_) co_await Linger();
  transport_->Close(!aborted_);
}

void HttpConnection::SetTask(TaskHandle task) {
  asio::post(strand_, [self = Self(), task = std::move(task)]() mutable {
    if (self->aborted_) task.Cancel();
    self->task_ = std::move(task);
  });
}

void HttpConnection::CheckDeadline(std::int64_t now_ms) {
  std::int64_t due = deadline_.load(std::memory_order_relaxed);
  if (due > now_ms || !deadline_.compare_exchange_strong(due, kNever)) return;
  asio::post(strand_, [self = Self()] { self->OnDeadline(); });
}

void HttpConnection::Drain() {
  asio::post(strand_, [self = Self()] {
    const bool idle = self->phase_ == Phase::kIdle || self->phase_ == Phase::kHandshake;
    if (idle && self->input_.empty()) self->transport_->Cancel();
  });
}

void HttpConnection::Abort() {
  asio::post(strand_, [self = Self()] { self->AbortNow(); });
}

void HttpConnection::AbortNow() {
  if (aborted_) return;
  aborted_ = true;
  transport_->Close(false);
  task_.Cancel();
}

// Closing with unread bytes would reset the connection and might take our last answer from the client.
Task<void> HttpConnection::Linger() {
  transport_->CloseWrite();
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

// --- time ---

void HttpConnection::Arm(Phase phase, std::chrono::milliseconds timeout) {
  phase_ = phase;
  armed_until_ = shared_.now_ms.load(std::memory_order_relaxed) + timeout.count();
  deadline_.store(armed_until_, std::memory_order_relaxed);
}

void HttpConnection::Disarm(Phase phase) {
  phase_ = phase;
  armed_until_ = kNever;
  deadline_.store(kNever, std::memory_order_relaxed);
}

void HttpConnection::OnDeadline() {
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
  transport_->Cancel();
}

// --- a client that leaves while we work for it ---

void HttpConnection::Watch() {
  if (watching_ || aborted_) return;
  watching_ = true;
  transport_->OnReadable([self = Self()](error_code error) { self->OnReadable(error); });
}

void HttpConnection::OnReadable(error_code error) {
  watching_ = false;
  if (error || (phase_ != Phase::kHandling && phase_ != Phase::kStreaming && phase_ != Phase::kWriting))
    return;
  if (input_.size() >= kMaxReadAhead) return;  // a pipeline so full is read on when its turn comes
  std::array<char, 2048> bytes;
  const std::size_t size = transport_->TryRead(bytes.data(), bytes.size(), error);
  if (error && !MayComeLater(error)) {
    AbortNow();
    return;
  }
  input_.append(bytes.data(), size);
  Watch();
}

// --- requests ---

// The handshake, where there is one. Who speaks plain HTTP where TLS is wanted is told so in plain HTTP.
Task<bool> HttpConnection::Greet() {
  Arm(Phase::kHandshake, shared_.limits.header_timeout);
  const Transport::Opened opened = co_await transport_->Open();
  if (opened == Transport::Opened::kReady) co_return !aborted_;
  linger_ = !timed_out_;  // so that the reason in TLS's own words arrives
  if (opened == Transport::Opened::kFailed || aborted_) co_return false;
  transport_ = transport_->Plain();
  Exchange exchange;
  exchange.id = MakeRequestId();
  exchange.verb = "?";
  exchange.started_ms = SteadyMs();
  Response response = ErrorResponse(400, "This port speaks HTTPS only; use https:// in the URL.");
  (void)co_await SendWhole(std::move(exchange), std::move(response), true);
  co_return false;
}

Task<HttpConnection::Incoming> HttpConnection::ReadRequest() {
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
void HttpConnection::SkipBlankLines() {
  std::size_t blank = 0;
  while (input_.compare(blank, 2, "\r\n") == 0) blank += 2;
  input_.erase(0, blank);
}

// Small enough to always fit what the system holds for a connection whose client has read all answers.
void HttpConnection::SendContinue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  const asio::const_buffer buffer(kContinue.data(), kContinue.size());
  if (TrySend({&buffer, 1}) < kContinue.size()) AbortNow();
}

Task<error_code> HttpConnection::ReadSome() {
  const std::size_t old = input_.size();
  const std::size_t room = phase_ == Phase::kBody ? kBodyReadBytes : kHeadReadBytes;
  input_.resize(old + room);
  const Transport::Received received = co_await transport_->Read(input_.data() + old, room);
  input_.resize(old + received.size);
  co_return received.error;
}

Task<bool> HttpConnection::ServeOne() {
  const Incoming incoming = co_await ReadRequest();
  if (incoming.closed || aborted_) {
    parser_.reset();
    co_return false;
  }
  Exchange exchange = TakeFacts(incoming);
  Response response = co_await Answer(incoming, exchange);
  if (aborted_) co_return false;
  const bool close =
      linger_ || response.close || !exchange.keep_alive || shared_.draining.load(std::memory_order_relaxed);
  const absl::Status sent = response.stream ? co_await SendStream(exchange, std::move(response), close)
                                            : co_await SendWhole(exchange, std::move(response), close);
  co_return sent.ok() && !close;
}

Task<Response> HttpConnection::Answer(const Incoming& incoming, Exchange& exchange) {
  Response response;
  if (incoming.fault) {
    parser_.reset();
    linger_ = true;
    co_return ErrorResponse(incoming.fault->status, incoming.fault->detail);
  }
  if (refuse_) {
    parser_.reset();
    linger_ = true;
    response = ErrorResponse(503, "The server has too many connections.");
    response.headers.push_back({"Retry-After", "1"});
    co_return response;
  }
  Request request = parser_->Take();
  parser_.reset();
  request.id = exchange.id;
  request.peer = peer_;
  request.certificate = transport_->Certificate();
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
  co_return response;
}

HttpConnection::Exchange HttpConnection::TakeFacts(const Incoming& incoming) {
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

Shared::Shared(TimeSource& t, HttpLimits l, AccessLog log, std::string security_lines)
    : time(t), limits(l), access_log(std::move(log)), security(std::move(security_lines)) {}

std::shared_ptr<Connection> MakeConnection(std::unique_ptr<Transport> transport, Executor strand,
                                           std::string peer, Shared& shared, bool refuse) {
  return std::make_shared<HttpConnection>(std::move(transport), std::move(strand), std::move(peer), shared,
                                          refuse);
}

}  // namespace fabro::http
