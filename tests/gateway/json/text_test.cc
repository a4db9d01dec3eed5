#include "gateway/json/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/strings.h"
#include "core/base/time.h"

namespace fabro::json {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  AppendQuoted(out, text);
  return out;
}

std::string Timestamp(std::int64_t seconds, std::int32_t nanos) {
  std::string out;
  AppendTimestamp(out, seconds, nanos);
  return out;
}

TEST(JsonText, QuotesEveryByteAsTheSlowWayDoes) {
  // Every byte at every place of a word of eight, and in the rest behind it.
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t at = 0; at < 19; ++at) {
      std::string text = "abcdefghijklmnopqrs";
      text[at] = static_cast<char>(byte);
      ASSERT_EQ(Quoted(text), JsonString(text)) << byte << " at " << at;
    }
  }
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("Grüße, 世界"), "\"Grüße, 世界\"");
}

TEST(JsonText, WritesTimesWithMilliseconds) {
  EXPECT_EQ(Timestamp(0, 0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(Timestamp(1774872000, 123456789), "2026-03-30T12:00:00.123Z");
  EXPECT_EQ(Timestamp(-1, 999000000), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(Timestamp(951782400, 0), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(Timestamp(std::numeric_limits<std::int64_t>::max(), -5), "9999-12-31T23:59:59.000Z");
  EXPECT_EQ(Timestamp(std::numeric_limits<std::int64_t>::min(), 0), "0001-01-01T00:00:00.000Z");
  for (std::int64_t seconds = -4000000000; seconds < 8000000000; seconds += 86399 * 97) {
    ASSERT_EQ(Timestamp(seconds, 7000000), FormatRfc3339({seconds * 1000 + 7}));
  }
}

TEST(JsonText, ReadsBackEveryDurationItWrites) {
  const DurationParts all[] = {{0, 0}, {1, 500000000}, {-1, -500000000}, {0, -1}, {90, 1}, {315576000000, 0}};
  for (const DurationParts& parts : all) {
    std::string text;
    AppendDuration(text, parts.seconds, parts.nanos);
    const std::optional<DurationParts> back = ParseDuration(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(back->seconds, parts.seconds) << text;
    EXPECT_EQ(back->nanos, parts.nanos) << text;
  }
  for (const char* text :
       {"", "s", "1", "1.s", ".5s", "1.5", "--1s", "1e3s", "9999999999999s", "1.0000000001s"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(JsonText, WritesNumbersAsShortAsTheyReadBack) {
  std::string out;
  AppendNumber(out, 0.1);
  AppendNumber(out += ' ', 3.0);
  AppendNumber(out += ' ', 0.1f);
  AppendNumber(out += ' ', std::numeric_limits<std::uint64_t>::max());
  AppendNumber(out += ' ', std::numeric_limits<std::int64_t>::min());
  AppendNumber(out += ' ', std::nan(""));
  AppendNumber(out += ' ', std::numeric_limits<double>::infinity());
  EXPECT_EQ(out, "0.1 3 0.1 18446744073709551615 -9223372036854775808 null null");
}

TEST(JsonText, ReadsBackBase64) {
  std::string bytes;
  for (int size = 0; size < 70; ++size) {
    std::string text;
    AppendBase64(text, bytes);
    EXPECT_EQ(ParseBase64(text), bytes) << text;
    bytes += static_cast<char>(size * 37);
  }
  for (const char* text : {"A", "AA", "AAA", "A===", "AA=A", "A-AA", "AAAA=", "====", "AA==AAAA"}) {
    EXPECT_FALSE(ParseBase64(text)) << text;
  }
}

}  // namespace
}  // namespace fabro::json
