#include "core/base/time.h"

#include <gtest/gtest.h>

namespace fabro {
namespace {

TEST(Rfc3339, WritesUtcWithMilliseconds) {
  EXPECT_EQ(FormatRfc3339({0}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatRfc3339({1774872000123}), "2026-03-30T12:00:00.123Z");
  EXPECT_EQ(FormatRfc3339({951782400000}), "2000-02-29T00:00:00.000Z");
}

TEST(Rfc3339, ReadsWhatItWritesAndOffsets) {
  EXPECT_EQ(ParseRfc3339("2026-03-30T12:00:00.123Z"), (Timestamp{1774872000123}));
  EXPECT_EQ(ParseRfc3339("2026-03-30T14:00:00.123+02:00"), (Timestamp{1774872000123}));
  EXPECT_EQ(ParseRfc3339("2026-03-30T12:00:00Z"), (Timestamp{1774872000000}));
  for (const char* bad : {"", "2026-13-30T12:00:00Z", "2026-02-30T12:00:00Z", "2026-03-30 12:00:00Z",
                          "2026-03-30T12:00:00", "2026-03-30T25:00:00Z", "2026-03-30T12:00:00.1"}) {
    EXPECT_FALSE(ParseRfc3339(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace fabro
