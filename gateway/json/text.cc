#include "gateway/json/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/base/strings.h"

namespace fabro::json {
namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHighs = 0x8080808080808080;

// Whether any of eight bytes is a control character, a quote, a backslash or not ASCII. May also say so of a
// harmless byte that follows one of those.
bool NeedsCare(std::uint64_t eight) {
  const std::uint64_t quote = eight ^ (kOnes * '"');
  const std::uint64_t slash = eight ^ (kOnes * '\\');
  return ((eight | (eight - kOnes * 0x20) | (quote - kOnes) | (slash - kOnes)) & kHighs) != 0;
}

bool NeedsCare(char c) { return static_cast<unsigned char>(c) - 0x20u >= 0x60u || c == '"' || c == '\\'; }

bool IsPlain(std::string_view text) {
  while (text.size() >= 8) {
    std::uint64_t eight;
    std::memcpy(&eight, text.data(), 8);
    if (NeedsCare(eight)) return false;
    text.remove_prefix(8);
  }
  for (const char c : text) {
    if (NeedsCare(c)) return false;
  }
  return true;
}

template <typename T>
void AppendChars(std::string& out, T value) {
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), end);
}

template <typename T>
void AppendFloating(std::string& out, T value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  AppendChars(out, value);
}

void Put(char* at, int width, std::int64_t value) {
  for (int i = width - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void AppendQuoted(std::string& out, std::string_view text) {
  if (!IsPlain(text)) return AppendJsonString(out, text);
  out += '"';
  out += text;
  out += '"';
}

void AppendTimestamp(std::string& out, std::int64_t seconds, std::int32_t nanos) {
  constexpr std::int64_t kDay = 86400;
  // What four digits of a year can say; out of it, a sender made a mistake and the digits must still be
  // digits.
  seconds = std::clamp<std::int64_t>(seconds, -62135596800, 253402300799);
  nanos = std::clamp(nanos, 0, 999999999);
  std::int64_t days = seconds / kDay;
  std::int64_t in_day = seconds % kDay;
  if (in_day < 0) {
    in_day += kDay;
    --days;
  }
  // Howard Hinnant's civil_from_days: years begin in March, eras are 400 years.
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const std::int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);

  std::array<char, 24> text;
  std::memcpy(text.data(), "0000-00-00T00:00:00.000Z", text.size());
  Put(&text[0], 4, year);
  Put(&text[5], 2, month);
  Put(&text[8], 2, day_of_year - (153 * shifted_month + 2) / 5 + 1);
  Put(&text[11], 2, in_day / 3600);
  Put(&text[14], 2, in_day / 60 % 60);
  Put(&text[17], 2, in_day % 60);
  Put(&text[20], 3, nanos / 1000000);
  out.append(text.data(), text.size());
}

void AppendDuration(std::string& out, std::int64_t seconds, std::int32_t nanos) {
  if (seconds < 0 || nanos < 0) out += '-';
  AppendChars(out,
              seconds < 0 ? 0 - static_cast<std::uint64_t>(seconds) : static_cast<std::uint64_t>(seconds));
  if (nanos != 0) {
    const std::int64_t magnitude = nanos < 0 ? -std::int64_t{nanos} : nanos;
    const int digits = magnitude % 1000000 == 0 ? 3 : 9;
    std::array<char, 9> fraction;
    Put(fraction.data(), 9, magnitude);
    out += '.';
    out.append(fraction.data(), static_cast<std::size_t>(digits));
  }
  out += 's';
}

std::optional<DurationParts> ParseDuration(std::string_view text) {
  if (text.empty() || text.back() != 's') return std::nullopt;
  text.remove_suffix(1);
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? "0" : text.substr(point + 1);
  constexpr std::int64_t kMaxSeconds = 315576000000;  // ten thousand years, as google.protobuf.Duration says
  const auto is_digits = [](std::string_view digits) {
    return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (!is_digits(whole) || !is_digits(fraction) || whole.size() > 12 || fraction.size() > 9)
    return std::nullopt;
  DurationParts parts;
  for (const char c : whole) parts.seconds = parts.seconds * 10 + (c - '0');
  if (parts.seconds > kMaxSeconds) return std::nullopt;
  std::int32_t scale = 100000000;
  for (const char c : fraction) {
    parts.nanos += (c - '0') * scale;
    scale /= 10;
  }
  if (negative) parts = {-parts.seconds, -parts.nanos};
  return parts;
}

void AppendNumber(std::string& out, std::int64_t value) { AppendChars(out, value); }
void AppendNumber(std::string& out, std::uint64_t value) { AppendChars(out, value); }
void AppendNumber(std::string& out, double value) { AppendFloating(out, value); }
void AppendNumber(std::string& out, float value) { AppendFloating(out, value); }

void AppendBase64(std::string& out, std::string_view bytes) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out += kAlphabet[group >> 18];
    out += kAlphabet[group >> 12 & 63];
    out += i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
  }
}

std::optional<std::string> ParseBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const int padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
    std::uint32_t group = 0;
    for (int k = 0; k < 4; ++k) {
      const std::size_t value = k >= 4 - padding ? 0 : kAlphabet.find(text[i + static_cast<std::size_t>(k)]);
      if (value == std::string_view::npos) return std::nullopt;
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    bytes += static_cast<char>(group >> 16);
    if (padding < 2) bytes += static_cast<char>(group >> 8 & 255);
    if (padding < 1) bytes += static_cast<char>(group & 255);
  }
  return bytes;
}

}  // namespace fabro::json
