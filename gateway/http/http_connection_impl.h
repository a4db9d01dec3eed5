// HTTP/1.1 on one connection. Its methods are in connection.cc (life, time, requests) and answers.cc. Private
// to this folder.
#pragma once

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gateway/http/connection_impl.h"
#include "gateway/http/request_parser.h"
#include "gateway/http/transport_impl.h"
#include "gateway/http/wire.h"

namespace fabro::http {

class HttpConnection final : public Connection, private BodyWriter {
 public:
  HttpConnection(std::unique_ptr<Transport> transport, Executor strand, std::string peer, Shared& shared,
                 bool refuse)
      : transport_(std::move(transport)),
        strand_(std::move(strand)),
        peer_(std::move(peer)),
        shared_(shared),
        refuse_(refuse) {}

  Task<void> Run() override;
  void SetTask(TaskHandle task) override;
  void CheckDeadline(std::int64_t now_ms) override;
  void Drain() override;
  void Abort() override;

 private:
  using ErrorCode = boost::system::error_code;
  enum class Phase : std::uint8_t {
    kIdle,
    kHandshake,
    kHead,
    kBody,
    kHandling,
    kStreaming,
    kWriting,
    kLingering
  };
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

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
  struct Incoming {
    bool closed = false;
    std::optional<Fault> fault;
  };

  std::shared_ptr<HttpConnection> Self() {
    return std::static_pointer_cast<HttpConnection>(shared_from_this());
  }

  // Time
  void Arm(Phase phase, std::chrono::milliseconds timeout);
  void Disarm(Phase phase);
  void OnDeadline();

  // The end: the client has gone, or the server goes, and whatever waits ends with an error.
  void AbortNow();
  Task<void> Linger();

  // A client that leaves while we work for it
  void Watch();
  void OnReadable(ErrorCode error);

  // Requests
  Task<bool> Greet();
  Task<Incoming> ReadRequest();
  void SkipBlankLines();
  void SendContinue();
  Task<ErrorCode> ReadSome();
  Task<bool> ServeOne();
  Task<Response> Answer(const Incoming& incoming, Exchange& exchange);
  Exchange TakeFacts(const Incoming& incoming);

  // Answers
  HeadOptions Options(const Exchange& exchange, bool close);
  Task<absl::Status> SendWhole(Exchange exchange, Response response, bool close);
  Task<absl::Status> SendStream(Exchange exchange, Response response, bool close);
  Task<absl::Status> SendLast();
  std::size_t TrySend(std::span<const boost::asio::const_buffer> buffers);
  Task<absl::Status> SendRest(std::string_view bytes);  // which live until it completes
  void Note(ErrorCode error);
  absl::StatusOr<bool> TryWrite(std::span<const Piece> pieces) override;
  Task<absl::Status> Flush() override;
  std::int64_t SteadyMs() const;
  void Log(const Exchange& exchange, int status, std::size_t bytes);

  std::unique_ptr<Transport> transport_;
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

}  // namespace fabro::http
