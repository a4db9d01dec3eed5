#include "cli/text.h"

#include <gtest/gtest.h>

#include "cli/screen.h"

namespace fabro::cli {
namespace {

TEST(Clean, TakesAwayWhatCouldSteerATerminal) {
  EXPECT_EQ(Clean("a\x1b[31mred\x1b[0m b\x1b]0;title\x07"
                  "c\x1b]8;;url\x1b\\d"),
            "ared bcd");
  EXPECT_EQ(Clean("bell\a back\b cr\r tab\tend\nnext"), "bell back cr tab  end\nnext");
  EXPECT_EQ(Clean("c1 \xC2\x9B"
                  "31m, turned \xE2\x80\xAE"
                  "abc"),
            "c1 31m, turned abc");
  EXPECT_EQ(Clean("bad \xff utf-8, open \x1b"), "bad \xEF\xBF\xBD utf-8, open ");
  EXPECT_EQ(Clean("cut \x1b\xC2\x9B and \x1b[1\xC3\xA9"), "cut  and é");
  EXPECT_EQ(CleanLine("a\nb"), "a b");
  EXPECT_EQ(CleanLines("a\r\n\nb\n\n"), (std::vector<std::string>{"a", "", "b"}));
}

TEST(Width, CountsColumns) {
  EXPECT_EQ(WidthOf("abc"), 3);
  EXPECT_EQ(WidthOf("é…✓"), 3);
  EXPECT_EQ(WidthOf("日本"), 4);
  EXPECT_EQ(WidthOf("e\xCC\x81"), 1);
  EXPECT_EQ(Fit("abcdef", 6, true), "abcdef");
  EXPECT_EQ(Fit("abcdefg", 6, true), "abcde…");
  EXPECT_EQ(Fit("abcdefg", 6, false), "abc...");
  EXPECT_EQ(Fit("日本語", 5, true), "日本…");
  EXPECT_EQ(Fit("日本語", 4, true), "日…");
}

TEST(Duration, IsShortAndReadable) {
  using std::chrono::milliseconds;
  EXPECT_EQ(ShowDuration(milliseconds(-5)), "0.0s");
  EXPECT_EQ(ShowDuration(milliseconds(440)), "0.4s");
  EXPECT_EQ(ShowDuration(milliseconds(9'949)), "9.9s");
  EXPECT_EQ(ShowDuration(milliseconds(9'950)), "10s");
  EXPECT_EQ(ShowDuration(milliseconds(59'499)), "59s");
  EXPECT_EQ(ShowDuration(milliseconds(59'600)), "1m00s");
  EXPECT_EQ(ShowDuration(milliseconds(185'000)), "3m05s");
  EXPECT_EQ(ShowDuration(milliseconds(7'620'000)), "2h07m");
}

TEST(Table, AlignsColumnsAndCutsTheLast) {
  const auto lines = Table({"ID", "TITLE"}, {{{"1"}, {"short"}}, {{"long-id"}, {"a title that is too long"}}},
                           {.unicode = true, .width = 20});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(PlainText(lines[0]), "ID       TITLE");
  EXPECT_EQ(PlainText(lines[1]), "1        short");
  EXPECT_EQ(PlainText(lines[2]), "long-id  a title th…");
}

TEST(Screen, RedrawsTheLinesInMotionBelowTheFinishedOnes) {
  Screen screen({.width = 20}, /*in_place=*/true);
  EXPECT_EQ(screen.Update({}, {{{"spin 1"}}, {{"out"}}}), "spin 1\nout\n");
  EXPECT_EQ(screen.Update({}, {{{"spin 1"}}, {{"out"}}}), "");  // nothing has changed
  const std::string erase = "\x1b[1A\r\x1b[2K";
  EXPECT_EQ(screen.Update({{{"done"}}}, {{{"spin 2"}}}), erase + erase + "done\nspin 2\n");
  EXPECT_EQ(screen.Update({}, {}), erase);
}

TEST(Screen, KeepsAPromptOpenForTyping) {
  Screen screen({.width = 20}, /*in_place=*/true);
  EXPECT_EQ(screen.Update({{{"? ok"}}}, {}, {{"> "}}), "? ok\n> ");
  EXPECT_EQ(screen.Update({}, {}, {{"> "}}), "");  // what is being typed is left alone
  EXPECT_EQ(screen.Update({{{"news"}}}, {}, {{"> "}}), "\r\x1b[2Knews\n> ");
  screen.PromptTaken();
  EXPECT_EQ(screen.Update({{{"answered"}}}, {}), "answered\n");
}

TEST(Screen, CutsLinesInMotionSoThatTheyNeverWrap) {
  Screen screen({.unicode = true, .width = 10}, /*in_place=*/true);
  EXPECT_EQ(screen.Update({}, {{{"0123456789abc"}}}), "01234567…\n");
}

TEST(Screen, WritesOnlyFinishedLinesToAPipe) {
  Screen screen({.colours = false}, /*in_place=*/false);
  EXPECT_EQ(screen.Update({{{"a", Tone::kBad}}}, {{{"spin"}}}, {{"> "}}), "a\n");
  Screen coloured({.colours = true}, /*in_place=*/false);
  EXPECT_EQ(coloured.Update({{{"a", Tone::kBad}}}, {}), "\x1b[31ma\x1b[0m\n");
}

}  // namespace
}  // namespace fabro::cli
