// Any bytes as an HTTP connection's input: what is understood must not depend on how the bytes were cut into
// reads, and whatever passes must have one meaning.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/strings.h"
#include "gateway/http/request_parser.h"

namespace {

using fabro::http::HttpLimits;
using fabro::http::Request;
using fabro::http::RequestParser;

HttpLimits SmallLimits() {
  HttpLimits limits;
  limits.max_request_line_bytes = 200;
  limits.max_header_bytes = 600;
  limits.max_headers = 8;
  limits.max_body_bytes = 300;
  return limits;
}

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckRequest(const Request& request) {
  auto is_visible = [](char c) { return c > 0x20 && c < 0x7f; };
  Require(!request.verb.empty() && std::ranges::all_of(request.verb, is_visible));
  Require(request.target.starts_with('/') || request.target == "*");
  Require(std::ranges::all_of(request.target, is_visible));
  Require(std::ranges::all_of(request.authority, is_visible));
  Require(request.minor_version == 0 || !request.authority.empty() || request.Find("host"));
  int lengths = 0;
  int codings = 0;
  for (const auto& header : request.headers) {
    Require(header.name == fabro::ToLower(header.name));
    Require(!header.name.empty() && std::ranges::all_of(header.name, is_visible));
    for (const char c : header.value) Require(c != '\r' && c != '\n' && c != '\0');
    lengths += header.name == "content-length";
    codings += header.name == "transfer-encoding";
  }
  Require(lengths + codings <= 1);
  if (lengths == 0 && codings == 0) Require(request.body.empty());
  Require(request.body.size() <= SmallLimits().max_body_bytes);
}

// All requests of the input as one text, ending with the status of the fault if there is one.
std::string Understand(std::string_view input, std::size_t step) {
  std::string told;
  std::string pending;
  std::size_t given = 0;
  auto parser = std::make_unique<RequestParser>(SmallLimits());
  while (true) {
    const RequestParser::Progress progress = parser->Feed(pending);
    Require(progress.consumed <= pending.size());
    pending.erase(0, progress.consumed);
    if (progress.fault) return told + fabro::StrCat("fault ", progress.fault->status);
    if (parser->done()) {
      const Request request = parser->Take();
      CheckRequest(request);
      told +=
          fabro::StrCat(request.verb, " ", request.target, " ", request.authority, " ", request.body, "\n");
      for (const auto& header : request.headers) told += fabro::StrCat(header.name, "=", header.value, "\n");
      parser = std::make_unique<RequestParser>(SmallLimits());
      if (!pending.empty()) continue;
    }
    if (given == input.size()) return told + (parser->head_done() ? "in a body" : "in a head");
    const std::size_t size = std::min(step, input.size() - given);
    pending += input.substr(given, size);
    given += size;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = Understand(input, size);
  Require(Understand(input, 1) == whole);
  Require(Understand(input, 1 + data[0] % 61) == whole);
  return 0;
}
