// The bytes of one connection: a socket, with or without TLS on it. Private to this folder.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/async/executor.h"
#include "core/async/task.h"

namespace fabro::security {
struct PeerCertificate;
}

namespace fabro::http {

class ServerTls;

using PlainSocket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

// Used on the connection's strand only. What waits ends with an error after Cancel or Close, or when the
// coroutine that waits is cancelled.
class Transport {
 public:
  using ErrorCode = boost::system::error_code;
  enum class Opened : std::uint8_t { kReady, kPlainHttp, kFailed };

  virtual ~Transport() = default;

  // First of all. kPlainHttp: the client does not speak TLS, and will read what Plain() writes.
  virtual Task<Opened> Open() = 0;
  // What is left of the connection without TLS; this one is not used any more.
  virtual std::unique_ptr<Transport> Plain() = 0;

  struct Received {
    std::size_t size = 0;
    ErrorCode error;  // eof when the client has said all
  };
  virtual Task<Received> Read(char* to, std::size_t room) = 0;

  // At once, or would_block.
  virtual std::size_t TryRead(char* to, std::size_t room, ErrorCode& error) = 0;
  // What the system takes at once; would_block when that is not all. Who calls again goes on with the bytes
  // behind those that were taken, and with no others.
  virtual std::size_t TryWrite(std::span<const boost::asio::const_buffer> buffers, ErrorCode& error) = 0;
  virtual Task<ErrorCode> AwaitWritable() = 0;

  // Calls back once, on the strand, when there is something to read or the client has gone.
  virtual void OnReadable(std::function<void(ErrorCode)> call) = 0;

  // The verified certificate of the client, as of now; null when there is none.
  virtual std::shared_ptr<const security::PeerCertificate> Certificate() = 0;

  virtual void Cancel() = 0;
  virtual void CloseWrite() = 0;  // we have said all
  // `politely`: the client is to know that nothing was cut off.
  virtual void Close(bool politely) = 0;
};

std::unique_ptr<Transport> MakePlainTransport(PlainSocket socket, Executor strand);
// `tls` outlives it.
std::unique_ptr<Transport> MakeTlsTransport(PlainSocket socket, Executor strand, ServerTls& tls);

}  // namespace fabro::http
