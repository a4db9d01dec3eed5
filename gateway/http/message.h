// What a request and its answer are, as plain data: no socket and no library shows here, so that whoever
// answers requests is tested without either.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/async/task.h"

namespace fabro::security {
struct PeerCertificate;
}

namespace fabro::http {

struct Header {
  std::string name;  // of a request: in lower case
  std::string value;
};

struct Request {
  std::string verb;       // "GET"; what the client sent, known or not
  std::string target;     // origin form: path and query as they came; "*" for the server as a whole
  std::string authority;  // the Host header, or the authority of an absolute target; may carry a port
  int minor_version = 1;  // of HTTP/1.x
  std::vector<Header> headers;
  std::string body;
  std::string id;    // X-Request-Id, the client's or ours; at most 128 printable characters
  std::string peer;  // the client's address, without port
  std::shared_ptr<const security::PeerCertificate>
      certificate;  // that the client has shown; of its connection

  std::string_view path() const;
  std::string_view query() const;  // without the question mark
  // The first header of that name (in lower case).
  std::optional<std::string_view> Find(std::string_view name) const;
};

// Bytes that several answers may share, never changed once made.
using Piece = std::shared_ptr<const std::string>;

// The body of a streamed answer. Used on the connection's strand by one coroutine.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;

  // Sends the pieces, in order, as one unit. True: the system has taken all. False: the rest is kept, and
  // Flush must be awaited before the next call; this is the back-pressure. Cancelled: the client is gone.
  virtual absl::StatusOr<bool> TryWrite(std::span<const Piece> pieces) = 0;

  // Completes when everything is handed to the system. DeadlineExceeded for a client that takes nothing for
  // the write time-out, Cancelled for one that has gone.
  virtual Task<absl::Status> Flush() = 0;
};

// Writes a streamed body; runs after the head of the answer was sent. An error ends the connection without
// the mark of a complete body, so that the client knows. Cancelled when the client goes away.
using BodyStream = std::function<Task<absl::Status>(BodyWriter&)>;

struct Response {
  int status = 200;
  std::vector<Header> headers;  // without Content-Length, Connection, Date and the security headers
  std::string body;
  Piece shared_body;      // instead of `body`, when set
  BodyStream stream;      // instead of both, when set
  bool close = false;     // the connection ends after this answer
  std::string principal;  // who asked, for the access log; empty: nobody known

  std::string_view text() const {
    return shared_body ? std::string_view(*shared_body) : std::string_view(body);
  }
};

// Answers requests. Called from many strands at once; outlives the listener.
class Handler {
 public:
  virtual ~Handler() = default;
  // Runs on the connection's strand; is cancelled when the client goes away.
  virtual Task<Response> Handle(Request request) = 0;
};

// The reason phrase of RFC 9110, RFC 6585 for 428, 429, 431 and 511; "Unknown" for others.
std::string_view ReasonPhrase(int status);

// {"errors":[{"status":"404","title":"Not Found","detail":"..."}]}, one entry a detail.
Response ErrorResponse(int status, std::string_view detail);
Response ErrorResponse(int status, std::span<const std::string> details);

}  // namespace fabro::http
