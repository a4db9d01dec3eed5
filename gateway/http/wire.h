// Answers as bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "gateway/http/message.h"

namespace fabro::http {

// "Date: Tue, 24 Nov 2026 02:07:39 GMT"'s value.
std::string FormatHttpDate(Timestamp at);

// The headers that every answer carries, as lines.
std::string SecurityHeaders(bool over_tls);

struct HeadOptions {
  std::string_view date;
  std::string_view security;  // SecurityHeaders()
  std::string_view request_id;
  std::optional<std::size_t> content_length;  // nothing: no body, or a chunked one
  bool chunked = false;
  bool gzip = false;          // the body is gzip
  bool compressible = false;  // another Accept-Encoding could get another body
  bool close = false;
  bool keep_alive_1_0 = false;  // an HTTP/1.0 client asked to keep the connection
};

// Appends the status line and all headers, blank line included. Line breaks in header values become spaces.
void AppendHead(std::string& out, const Response& response, const HeadOptions& options);

// Whether the Accept-Encoding value lets us send gzip.
bool AcceptsGzip(std::string_view accept_encoding);

// The bytes as gzip; nothing when zlib fails.
std::optional<std::string> Gzip(std::string_view bytes);

}  // namespace fabro::http
