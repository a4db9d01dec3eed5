#include "cli/sse_parser.h"

#include <gtest/gtest.h>

namespace fabro::cli {
namespace {

std::string Show(const std::vector<SseFrame>& frames) {
  std::string out;
  for (const SseFrame& frame : frames) {
    out += "[" + frame.id.value_or("-") + "|" + frame.event + "|" + frame.data + "]";
  }
  return out;
}

std::string ParseInPieces(std::string_view text, std::size_t size) {
  SseParser parser;
  std::vector<SseFrame> frames;
  for (std::size_t at = 0; at < text.size(); at += size) {
    EXPECT_TRUE(parser.Feed(text.substr(at, size), &frames).ok());
  }
  return Show(frames);
}

TEST(SseParser, GivesTheSameFramesHoweverTheBytesArrive) {
  const std::string text =
      "\xEF\xBB\xBFid: 1\ndata: {\"a\":1}\n\n: ping\n\nid:2\r\nevent: done\r\ndata: x\r\ndata:  y\r\n\r\n"
      "id: 3\rdata\r\rretry: 5\nid: lost\n\ndata: unfinished\n";
  const std::string wanted = "[1||{\"a\":1}][2|done|x\n y][3||]";
  for (std::size_t size = 1; size <= text.size(); ++size)
    EXPECT_EQ(ParseInPieces(text, size), wanted) << size;
}

TEST(SseParser, IgnoresAnIdWithANulAndUnknownFields) {
  EXPECT_EQ(ParseInPieces(std::string_view("id: a\0b\nfoo: bar\ndata: x\n\n", 26), 7), "[-||x]");
}

TEST(SseParser, RefusesAFrameWithoutEnd) {
  SseParser parser;
  std::vector<SseFrame> frames;
  const std::string line = "data: " + std::string(1 << 20, 'x') + "\n";
  absl::Status status;
  for (int i = 0; i < 20 && status.ok(); ++i) status = parser.Feed(line, &frames);
  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace fabro::cli
