#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/security/certificate.h"
#include "gateway/http/server_tls.h"
#include "gateway/http/transport_impl.h"

namespace fabro::http {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kRecordBytes = 16 * 1024;  // the most that one TLS record holds

// OpenSSL's view of the socket. Its own would raise SIGPIPE.
int Fd(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

int BioWrite(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(Fd(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int BioRead(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(Fd(bio), bytes, static_cast<std::size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long BioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* SocketBio() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fabro socket");
    FABRO_CHECK(made != nullptr);
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_ctrl(made, BioControl);
    return made;
  }();
  return method;
}

// A place in a list of buffers.
class Cursor {
 public:
  explicit Cursor(std::span<const asio::const_buffer> buffers) : buffers_(buffers) { SkipEmpty(); }

  bool at_end() const { return at_ == buffers_.size(); }

  // Goes on by so many bytes, or to the end; by how many.
  std::size_t Advance(std::size_t bytes) {
    std::size_t gone = 0;
    while (gone < bytes && !at_end()) {
      const std::size_t step = std::min(bytes - gone, buffers_[at_].size() - offset_);
      offset_ += step;
      gone += step;
      SkipEmpty();
    }
    return gone;
  }

  // The next bytes for one record; copied only where a buffer does not fill it.
  std::string_view Record() const {
    const std::string_view first = Rest(at_, offset_);
    if (first.size() >= kRecordBytes || at_ + 1 == buffers_.size()) return first.substr(0, kRecordBytes);
    thread_local std::string joined;
    joined.assign(first);
    for (std::size_t i = at_ + 1; i < buffers_.size() && joined.size() < kRecordBytes; ++i) {
      joined += Rest(i, 0).substr(0, kRecordBytes - joined.size());
    }
    return joined;
  }

 private:
  std::string_view Rest(std::size_t at, std::size_t offset) const {
    const auto* bytes = static_cast<const char*>(buffers_[at].data());
    return std::string_view(bytes, buffers_[at].size()).substr(offset);
  }
  void SkipEmpty() {
    while (!at_end() && offset_ == buffers_[at_].size()) {
      ++at_;
      offset_ = 0;
    }
  }

  const std::span<const asio::const_buffer> buffers_;
  std::size_t at_ = 0;
  std::size_t offset_ = 0;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(PlainSocket socket, Executor strand, ServerTls& tls)
      : socket_(std::move(socket)), strand_(std::move(strand)), tls_(tls), context_(tls.Current()) {
    ssl_ = SSL_new(context_.ssl.get());
    BIO* const bio = BIO_new(SocketBio());
    FABRO_CHECK(ssl_ != nullptr && bio != nullptr);
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket_.native_handle())));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_accept_state(ssl_);
  }
  ~TlsTransport() override { SSL_free(ssl_); }
  TlsTransport(const TlsTransport&) = delete;
  TlsTransport& operator=(const TlsTransport&) = delete;

  Task<Opened> Open() override {
    while (true) {
      ERR_clear_error();
      const int result = SSL_accept(ssl_);
      if (result == 1) break;
      const int reason = SSL_get_error(ssl_, result);
      if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) co_return HandshakeFailed();
      if (co_await Await(reason)) {  // cancelled: its time is over
        tls_.Count(ServerTls::Handshake::kFailed);
        co_return Opened::kFailed;
      }
    }
    ready_ = true;
    tls_.Count(SSL_session_reused(ssl_) == 1 ? ServerTls::Handshake::kResumed : ServerTls::Handshake::kFull);
    certificate_ = tls_.CertificateOf(ssl_);
    co_return Opened::kReady;
  }

  std::unique_ptr<Transport> Plain() override { return MakePlainTransport(std::move(socket_), strand_); }

  Task<Received> Read(char* to, std::size_t room) override {
    Received received;
    while (true) {
      const int reason = ReadOnce(to, room, &received);
      if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) break;
      received.error = co_await Await(reason);
      if (received.error) break;
    }
    co_return received;
  }

  std::size_t TryRead(char* to, std::size_t room, ErrorCode& error) override {
    Received received;
    if (!ready_) received.error = asio::error::connection_reset;
    const int reason = ready_ ? ReadOnce(to, room, &received) : SSL_ERROR_SSL;
    if (reason == SSL_ERROR_WANT_READ) received.error = asio::error::would_block;
    // It would have to answer first, and the client takes nothing: whoever waits for bytes would spin.
    if (reason == SSL_ERROR_WANT_WRITE) received.error = asio::error::connection_reset;
    error = received.error;
    return received.size;
  }

  // A record that the system did not take whole must be offered to OpenSSL again as it was, while our caller
  // may come back with a shorter piece; hence it is kept, and what it holds beyond that piece counts as taken
  // ahead.
  std::size_t TryWrite(std::span<const asio::const_buffer> buffers, ErrorCode& error) override {
    error = {};
    Cursor cursor(buffers);
    std::size_t taken = cursor.Advance(ahead_);
    ahead_ -= taken;
    if (!unsent_.empty()) {
      error = WriteRecord(unsent_);
      if (error) return taken;
      const std::size_t known = cursor.Advance(unsent_.size());
      ahead_ = unsent_.size() - known;
      taken += known;
      std::string().swap(unsent_);
    }
    while (!cursor.at_end()) {
      const std::string_view record = cursor.Record();
      error = WriteRecord(record);
      if (error) {
        if (error == asio::error::would_block) unsent_ = record;
        break;
      }
      taken += cursor.Advance(record.size());
    }
    return taken;
  }

  Task<ErrorCode> AwaitWritable() override { co_return co_await Await(SSL_ERROR_WANT_WRITE); }

  void OnReadable(std::function<void(ErrorCode)> call) override {
    socket_.async_wait(asio::socket_base::wait_read, asio::bind_executor(strand_, std::move(call)));
  }

  std::shared_ptr<const security::PeerCertificate> Certificate() override {
    const std::uint64_t authorities = tls_.authorities();
    if (certificate_ && authorities != context_.authorities) {
      context_.authorities = authorities;
      certificate_ = tls_.VerifyAgain(ssl_);
    }
    return certificate_;
  }

  void Cancel() override {
    ErrorCode ignored;
    socket_.cancel(ignored);
  }
  void CloseWrite() override {
    SayGoodbye();
    ErrorCode ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  }
  void Close(bool politely) override {
    if (politely) SayGoodbye();
    ErrorCode ignored;
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
    socket_.close(ignored);
  }

 private:
  Task<ErrorCode> Await(int reason) {
    ErrorCode error;
    const auto what =
        reason == SSL_ERROR_WANT_WRITE ? asio::socket_base::wait_write : asio::socket_base::wait_read;
    co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
    co_return error;
  }

  Opened HandshakeFailed() {
    const unsigned long code = ERR_peek_error();
    const bool is_http = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
    const char* const why = ERR_reason_error_string(code);
    ERR_clear_error();
    tls_.Count(ServerTls::Handshake::kFailed);
    ErrorCode gone;
    const auto peer = socket_.remote_endpoint(gone);
    log::Debug("TLS handshake failed", {{"reason", why != nullptr ? why : "the client has gone"},
                                        {"peer", gone ? std::string() : peer.address().to_string()}});
    return is_http ? Opened::kPlainHttp : Opened::kFailed;
  }

  // SSL_ERROR_NONE with bytes; else the reason, and the error unless waiting may help.
  int ReadOnce(char* to, std::size_t room, Received* received) {
    if (!ready_) return ReadUndeciphered(to, room, received);
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_, to, room, &received->size);
    if (result == 1) return SSL_ERROR_NONE;
    received->size = 0;
    const int reason = SSL_get_error(ssl_, result);
    if (reason == SSL_ERROR_ZERO_RETURN) received->error = asio::error::eof;
    if (reason == SSL_ERROR_SSL || reason == SSL_ERROR_SYSCALL) Break(&received->error);
    return reason;
  }

  // For a client that is still sending after the end: what is only dropped need not be understood.
  int ReadUndeciphered(char* to, std::size_t room, Received* received) {
    received->size = socket_.read_some(asio::buffer(to, room), received->error);
    if (received->error != asio::error::would_block) return SSL_ERROR_NONE;
    received->error = {};
    return SSL_ERROR_WANT_READ;
  }

  ErrorCode WriteRecord(std::string_view record) {
    ErrorCode error;
    if (!ready_) return asio::error::connection_reset;
    std::size_t written = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, record.data(), record.size(), &written);
    if (result == 1) return error;
    const int reason = SSL_get_error(ssl_, result);
    if (reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ) return asio::error::would_block;
    Break(&error);
    return error;
  }

  // Nothing may be said on it any more, not even goodbye.
  void Break(ErrorCode* error) {
    ERR_clear_error();
    ready_ = false;
    *error = asio::error::connection_reset;
  }

  void SayGoodbye() {
    if (!std::exchange(ready_, false)) return;
    ERR_clear_error();
    (void)SSL_shutdown(ssl_);  // as much as the system takes at once
    ERR_clear_error();
  }

  PlainSocket socket_;
  const Executor strand_;
  ServerTls& tls_;
  ServerTls::Context context_;
  SSL* ssl_ = nullptr;
  bool ready_ = false;  // between the handshake and the first of: goodbye, a broken record
  std::shared_ptr<const security::PeerCertificate> certificate_;
  std::string unsent_;     // a record that OpenSSL has begun to send
  std::size_t ahead_ = 0;  // bytes that were sent before our caller came to them
};

}  // namespace

std::unique_ptr<Transport> MakeTlsTransport(PlainSocket socket, Executor strand, ServerTls& tls) {
  return std::make_unique<TlsTransport>(std::move(socket), std::move(strand), tls);
}

}  // namespace fabro::http
