#include <boost/asio/bind_executor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "core/base/error.h"
#include "gateway/http/transport_impl.h"

namespace fabro::http {
namespace asio = boost::asio;

namespace {

class PlainTransport final : public Transport {
 public:
  PlainTransport(PlainSocket socket, Executor strand)
      : socket_(std::move(socket)), strand_(std::move(strand)) {}

  Task<Opened> Open() override { co_return Opened::kReady; }
  std::unique_ptr<Transport> Plain() override { FABRO_CHECK(false); }

  Task<Received> Read(char* to, std::size_t room) override {
    Received received;
    received.size = co_await socket_.async_read_some(
        asio::buffer(to, room), asio::redirect_error(asio::use_awaitable, received.error));
    co_return received;
  }

  std::size_t TryRead(char* to, std::size_t room, ErrorCode& error) override {
    return socket_.read_some(asio::buffer(to, room), error);
  }

  std::size_t TryWrite(std::span<const asio::const_buffer> buffers, ErrorCode& error) override {
    std::size_t total = 0;
    for (const asio::const_buffer& buffer : buffers) total += buffer.size();
    if (total == 0) return 0;
    const std::size_t sent = socket_.write_some(buffers, error);
    if (!error && sent < total) error = asio::error::would_block;
    return sent;
  }

  Task<ErrorCode> AwaitWritable() override {
    ErrorCode error;
    co_await socket_.async_wait(asio::socket_base::wait_write,
                                asio::redirect_error(asio::use_awaitable, error));
    co_return error;
  }

  void OnReadable(std::function<void(ErrorCode)> call) override {
    socket_.async_wait(asio::socket_base::wait_read, asio::bind_executor(strand_, std::move(call)));
  }

  std::shared_ptr<const security::PeerCertificate> Certificate() override { return nullptr; }

  void Cancel() override {
    ErrorCode ignored;
    socket_.cancel(ignored);
  }
  void CloseWrite() override {
    ErrorCode ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  }
  void Close(bool) override {
    ErrorCode ignored;
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
    socket_.close(ignored);
  }

 private:
  PlainSocket socket_;
  const Executor strand_;
};

}  // namespace

std::unique_ptr<Transport> MakePlainTransport(PlainSocket socket, Executor strand) {
  return std::make_unique<PlainTransport>(std::move(socket), std::move(strand));
}

}  // namespace fabro::http
