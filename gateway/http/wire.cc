#include "gateway/http/wire.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "core/base/strings.h"

namespace fabro::http {
namespace {

void AppendNumber(std::string& out, std::size_t number) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  out += "\r\n";
}

}  // namespace

std::string FormatHttpDate(Timestamp at) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = static_cast<std::time_t>(at.unix_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                                 kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                                 parts.tm_hour, parts.tm_min, parts.tm_sec);
  return std::string(text.data(), static_cast<std::size_t>(size));
}

std::string SecurityHeaders(bool over_tls) {
  std::string lines =
      "X-Content-Type-Options: nosniff\r\n"
      "Referrer-Policy: no-referrer\r\n"
      "Content-Security-Policy: default-src 'none'\r\n";
  if (over_tls) lines += "Strict-Transport-Security: max-age=31536000\r\n";
  return lines;
}

void AppendHead(std::string& out, const Response& response, const HeadOptions& options) {
  out += "HTTP/1.1 ";
  AppendNumber(out, static_cast<std::size_t>(response.status));
  out += ' ';
  out += ReasonPhrase(response.status);
  out += "\r\nDate: ";
  out += options.date;
  out += "\r\n";
  for (const Header& header : response.headers) AppendHeader(out, header.name, header.value);
  out += options.security;
  if (!options.request_id.empty()) AppendHeader(out, "X-Request-Id", options.request_id);
  if (options.compressible) out += "Vary: Accept-Encoding\r\n";
  if (options.gzip) out += "Content-Encoding: gzip\r\n";
  if (options.content_length) {
    out += "Content-Length: ";
    AppendNumber(out, *options.content_length);
    out += "\r\n";
  }
  if (options.chunked) out += "Transfer-Encoding: chunked\r\n";
  if (options.close) {
    out += "Connection: close\r\n";
  } else if (options.keep_alive_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

bool AcceptsGzip(std::string_view accept_encoding) {
  for (const std::string_view part : Split(accept_encoding, ',')) {
    const std::size_t semicolon = part.find(';');
    const std::string_view coding = Trim(part.substr(0, semicolon));
    if (!EqualsIgnoreCase(coding, "gzip") && !EqualsIgnoreCase(coding, "x-gzip")) continue;
    if (semicolon == std::string_view::npos) return true;
    const std::string_view weight = Trim(part.substr(semicolon + 1));
    if (weight.size() < 2 || (weight[0] != 'q' && weight[0] != 'Q') || weight[1] != '=') return true;
    return ParseDouble(weight.substr(2)).value_or(0) > 0;
  }
  return false;
}

}  // namespace fabro::http
