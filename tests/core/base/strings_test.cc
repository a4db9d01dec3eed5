#include "core/base/strings.h"

#include <gtest/gtest.h>

namespace fabro {
namespace {

TEST(Strings, JsonStringEscapesWhatItMustAndNothingElse) {
  EXPECT_EQ(JsonString("a\"b\\c\n\t\x01/ü"), "\"a\\\"b\\\\c\\n\\t\\u0001/ü\"");
  EXPECT_EQ(JsonString("\xFFx"), "\"\xEF\xBF\xBDx\"");
  EXPECT_EQ(JsonString(""), "\"\"");
}

TEST(Strings, Utf8IsCheckedByTheBook) {
  EXPECT_TRUE(IsValidUtf8("plain, ü, €, 😀"));
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    EXPECT_FALSE(IsValidUtf8(bad)) << bad;
    EXPECT_TRUE(IsValidUtf8(ToValidUtf8(bad)));
  }
}

TEST(Strings, TruncateNeverCutsInsideACharacter) {
  EXPECT_EQ(TruncateUtf8("€€€", 2), "€€");
  EXPECT_EQ(TruncateUtf8("ab", 5), "ab");
  EXPECT_EQ(CountUtf8("€a😀"), 3u);
}

TEST(Strings, NumbersAreReadWholeOrNotAtAll) {
  EXPECT_EQ(ParseInt("-12"), -12);
  EXPECT_FALSE(ParseInt("12x").has_value());
  EXPECT_FALSE(ParseInt("").has_value());
  EXPECT_FALSE(ParseInt("99999999999999999999").has_value());
  EXPECT_EQ(ParseDouble("1.5"), 1.5);
  EXPECT_FALSE(ParseDouble("inf").has_value());
}

TEST(Strings, SplitJoinTrimReplace) {
  EXPECT_EQ(Split("a,,b", ',').size(), 3u);
  EXPECT_EQ(Join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(Trim(" \ta b\n"), "a b");
  EXPECT_EQ(ReplaceAll("$a$a", "$a", "xy"), "xyxy");
  EXPECT_EQ(StrCat("n=", 3, ' ', std::string("z")), "n=3 z");
}

TEST(Strings, NearestWordHelpsWithTypingMistakes) {
  EXPECT_EQ(NearestWord("storage_dri", {"storage_dir", "api"}), "storage_dir");
  EXPECT_FALSE(NearestWord("something_else", {"storage_dir", "api"}).has_value());
}

}  // namespace
}  // namespace fabro
