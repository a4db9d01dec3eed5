// A strict look at the head of a request before any parser sees it. Readers of HTTP that are lenient in
// different ways can be made to disagree about where a request ends (request smuggling); what passes here has
// one meaning only.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "gateway/http/limits.h"

namespace fabro::http {

// What is wrong with a request, as the HTTP status and the sentence that answer it.
struct Fault {
  int status = 400;
  std::string_view detail;  // static text
};

// Looks for the end of a head in bytes as they arrive.
class HeadScanner {
 public:
  struct Result {
    std::size_t size = 0;        // of the whole head with its blank line; 0: not complete yet
    std::optional<Fault> fault;  // decided as early as possible: too long, or a bare line feed
  };
  // `input` begins with the head's first byte and has only grown since the last call.
  Result Scan(std::string_view input, const HttpLimits& limits);

 private:
  std::size_t scanned_ = 0;
  std::size_t line_ = 0;  // where the current line begins
};

// Checks a whole head, from its first byte to its blank line: the request line (method, target, version),
// every header line (token, colon, visible text; no folding, no bare CR, no NUL), one Host, at most one
// Content-Length of digits, Transfer-Encoding "chunked" alone and never beside Content-Length.
std::optional<Fault> CheckHead(std::string_view head, const HttpLimits& limits);

}  // namespace fabro::http
