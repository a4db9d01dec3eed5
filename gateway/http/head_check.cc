#include "gateway/http/head_check.h"

#include <algorithm>
#include <array>

#include "core/base/strings.h"

namespace fabro::http {
namespace {

constexpr std::array<bool, 256> MakeTokenTable() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kToken = MakeTokenTable();
constexpr std::size_t kMaxMethodBytes = 32;
constexpr std::string_view kVersions[] = {"HTTP/1.1", "HTTP/1.0"};

bool IsToken(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

bool IsVisible(char c) { return c > 0x20 && c < 0x7f; }

// RFC 9110: visible characters, space, tab, and bytes over 0x7f.
bool IsFieldValue(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// host[:port] without user, path or white space.
bool IsAuthority(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return IsVisible(c) && std::string_view("/?#@\\\"<>").find(c) == std::string_view::npos;
  });
}

Fault Bad(std::string_view detail) { return Fault{400, detail}; }

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<Fault> CheckTarget(std::string_view method, std::string_view target) {
  if (target.empty() || !std::ranges::all_of(target, IsVisible))
    return Bad("The request target is malformed.");
  if (target.find('#') != std::string_view::npos) return Bad("The request target has a fragment.");
  if (target.front() == '/') return std::nullopt;
  if (target == "*") {
    if (method == "OPTIONS") return std::nullopt;
    return Bad("The request target \"*\" is for OPTIONS only.");
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!EqualsIgnoreCase(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    if (!authority.empty() && IsAuthority(authority)) return std::nullopt;
  }
  return Bad("The request target is malformed.");
}

std::optional<Fault> CheckRequestLine(std::string_view line, bool& is_1_0) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Bad("The request line is malformed.");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method) || method.size() > kMaxMethodBytes) return Bad("The request method is malformed.");
  if (std::ranges::find(kVersions, version) == std::end(kVersions)) {
    if (version.starts_with("HTTP/") && version.size() == 8)
      return Fault{505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."};
    return Bad("The request line is malformed.");
  }
  is_1_0 = version == "HTTP/1.0";
  return CheckTarget(method, target);
}

// What framing rests on; each may appear once.
struct Framing {
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
};

std::optional<Fault> CheckField(std::string_view line, Framing& framing) {
  if (line.front() == ' ' || line.front() == '\t') return Bad("Folded header lines are not accepted.");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Bad("A header line has no colon.");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimSpaces(line.substr(colon + 1));
  if (!IsToken(name)) return Bad("A header name is malformed.");
  if (!IsFieldValue(value)) return Bad("A header value holds a control character.");
  if (EqualsIgnoreCase(name, "host")) {
    if (++framing.hosts > 1) return Bad("There is more than one Host header.");
    if (!IsAuthority(value)) return Bad("The Host header is malformed.");
  } else if (EqualsIgnoreCase(name, "content-length")) {
    if (++framing.lengths > 1) return Bad("There is more than one Content-Length header.");
    if (!IsDigits(value)) return Bad("The Content-Length header is malformed.");
    if (value.size() > 18)
      return Fault{413, "The body is larger than this server takes (limits.max_body_bytes)."};
  } else if (EqualsIgnoreCase(name, "transfer-encoding")) {
    if (++framing.encodings > 1) return Bad("There is more than one Transfer-Encoding header.");
    if (!EqualsIgnoreCase(value, "chunked"))
      return Fault{501, "The only transfer coding spoken here is chunked."};
  }
  return std::nullopt;
}

}  // namespace

HeadScanner::Result HeadScanner::Scan(std::string_view input, const HttpLimits& limits) {
  Result result;
  while (true) {
    const std::size_t end = input.find('\n', scanned_);
    const std::size_t reached = end == std::string_view::npos ? input.size() : end + 1;
    if (line_ == 0 && reached > limits.max_request_line_bytes + 2) {
      result.fault = Fault{414, "The request line is longer than 8 KiB; send long values in the body."};
      return result;
    }
    if (reached > limits.max_header_bytes) {
      result.fault =
          Fault{431, "The request's headers are larger than this server takes (limits.max_header_bytes)."};
      return result;
    }
    scanned_ = reached;
    if (end == std::string_view::npos) return result;
    if (end == line_ || input[end - 1] != '\r') {
      result.fault = Fault{400, "A line ends with a bare line feed."};
      return result;
    }
    if (end == line_ + 1) {
      result.size = end + 1;
      return result;
    }
    line_ = end + 1;
  }
}

std::optional<Fault> CheckHead(std::string_view head, const HttpLimits& limits) {
  bool is_1_0 = false;
  bool is_first = true;
  std::size_t fields = 0;
  Framing framing;
  while (true) {
    const std::size_t end = head.find('\r');
    if (end == std::string_view::npos || end + 1 >= head.size())
      return Bad("The request's head is incomplete.");
    if (head[end + 1] != '\n') return Bad("The request's head holds a bare carriage return.");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.empty()) break;
    const std::optional<Fault> fault = is_first ? CheckRequestLine(line, is_1_0) : CheckField(line, framing);
    if (fault) return fault;
    if (!is_first && ++fields > limits.max_headers) return Fault{431, "The request has too many headers."};
    is_first = false;
  }
  if (is_first || !head.empty()) return Bad("The request line is malformed.");
  if (framing.lengths > 0 && framing.encodings > 0) {
    return Bad("A request cannot have both Content-Length and Transfer-Encoding.");
  }
  if (framing.encodings > 0 && is_1_0) return Bad("HTTP/1.0 knows no transfer codings.");
  if (framing.hosts == 0 && !is_1_0) return Bad("The Host header is missing.");
  return std::nullopt;
}

}  // namespace fabro::http
