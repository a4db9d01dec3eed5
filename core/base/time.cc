#include "core/base/time.h"

#include <array>
#include <charconv>

namespace fabro {
namespace {

void Put(char* at, int width, unsigned value) {
  for (int i = width - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

bool Number(std::string_view text, std::size_t at, std::size_t width, int& out) {
  if (at + width > text.size()) return false;
  const char* begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + width, out);
  return error == std::errc() && end == begin + width && out >= 0;
}

}  // namespace

std::string FormatRfc3339(Timestamp at) {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> instant{std::chrono::milliseconds(at.unix_ms)};
  const auto day = floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const auto in_day = static_cast<unsigned>((instant - day).count());
  std::array<char, 24> text;
  Put(&text[0], 4, static_cast<unsigned>(static_cast<int>(date.year())));
  text[4] = '-';
  Put(&text[5], 2, static_cast<unsigned>(date.month()));
  text[7] = '-';
  Put(&text[8], 2, static_cast<unsigned>(date.day()));
  text[10] = 'T';
  Put(&text[11], 2, in_day / 3600000);
  text[13] = ':';
  Put(&text[14], 2, in_day / 60000 % 60);
  text[16] = ':';
  Put(&text[17], 2, in_day / 1000 % 60);
  text[19] = '.';
  Put(&text[20], 3, in_day % 1000);
  text[23] = 'Z';
  return std::string(text.data(), text.size());
}

std::optional<Timestamp> ParseRfc3339(std::string_view text) {
  int year, month, day, hour, minute, second;
  if (!Number(text, 0, 4, year) || !Number(text, 5, 2, month) || !Number(text, 8, 2, day) ||
      !Number(text, 11, 2, hour) || !Number(text, 14, 2, minute) || !Number(text, 17, 2, second)) {
    return std::nullopt;
  }
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  std::size_t at = 19;
  std::int64_t millis = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t scale = 100;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
      millis += (text[at] - '0') * scale;
    }
  }
  std::int64_t offset_minutes = 0;
  if (text.substr(at) != "Z" && text.substr(at) != "z") {
    int offset_hour, offset_minute;
    if (text.size() != at + 6 || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':' ||
        !Number(text, at + 1, 2, offset_hour) || !Number(text, at + 4, 2, offset_minute)) {
      return std::nullopt;
    }
    offset_minutes = (text[at] == '-' ? -1 : 1) * (offset_hour * 60 + offset_minute);
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return Timestamp{((days * 24 + hour) * 60 + minute - offset_minutes) * 60000 + second * 1000 + millis};
}

}  // namespace fabro
