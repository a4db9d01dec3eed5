#include "core/workflow/lexer.h"

#include <gtest/gtest.h>

#include "core/base/strings.h"

namespace fabro::workflow {
namespace {

// Tokens as "kind:text@begin", structure only.
std::string Tokens(std::string_view text) {
  Lexer lexer(text);
  std::string out;
  while (true) {
    const Token token = lexer.Read();
    if (token.kind == Token::Kind::kEnd) return out;
    if (!out.empty()) out += ' ';
    switch (token.kind) {
      case Token::Kind::kIdentifier:
        out += StrCat("id:", token.text);
        break;
      case Token::Kind::kString:
        out += StrCat("str:", token.text);
        break;
      case Token::Kind::kBad:
        return out + "bad:" + token.text;
      default:
        out += token.text;
    }
    out += StrCat("@", token.begin);
  }
}

std::string Value(std::string_view text) {
  const Token token = Lexer(text).ReadValue();
  return token.kind == Token::Kind::kBad ? "bad: " + token.text : token.text;
}

TEST(Lexer, CutsStructure) {
  EXPECT_EQ(Tokens("digraph{a->b;}"), "id:digraph@0 {@7 id:a@8 ->@9 id:b@11 ;@12 }@13");
  EXPECT_EQ(Tokens(" a_1 [x.y=z, ]"), "id:a_1@1 [@5 id:x@6 .@7 id:y@8 =@9 id:z@10 ,@11 ]@13");
  EXPECT_EQ(Tokens(""), "");
  EXPECT_EQ(Tokens("a -- b"), "id:a@0 bad:'--' is of undirected graphs; write '->'");
  EXPECT_EQ(Tokens("a 12b"), "id:a@0 bad:unexpected '12'");
  EXPECT_EQ(Tokens("ü"), "bad:unexpected 'ü'");
  EXPECT_EQ(Tokens("<b>"), "bad:HTML strings are not supported");
}

TEST(Lexer, SkipsComments) {
  EXPECT_EQ(Tokens("a // b\nc"), "id:a@0 id:c@7");
  EXPECT_EQ(Tokens("a /* b\n * c */ d"), "id:a@0 id:d@15");
  EXPECT_EQ(Tokens("# first\n  # second\na"), "id:a@19");
  EXPECT_EQ(Tokens("a # b"), "id:a@0 bad:unexpected '#'");
  EXPECT_EQ(Tokens("\xEF\xBB\xBF# mark\na"), "id:a@10");
  EXPECT_EQ(Tokens("a // no end of line"), "id:a@0");
  EXPECT_EQ(Tokens("a /* b"), "id:a@0 bad:a comment does not end");
  EXPECT_EQ(Tokens("\"// no comment\" \"# nor\""), "str:// no comment@0 str:# nor@16");
}

TEST(Lexer, ReadsStrings) {
  EXPECT_EQ(Value(R"("a\"b\\c\nd\te")"), "a\"b\\c\nd\te");
  EXPECT_EQ(Value(R"("\d+\.\w\l")"), R"(\d+\.\w\l)");
  EXPECT_EQ(Value("\"a\\\nb\\\r\nc\""), "abc");
  EXPECT_EQ(Value("\"a\nb\""), "a\nb");
  EXPECT_EQ(Value("\"a\\\rb\""), "a\\\rb");
  EXPECT_EQ(Value("\"\""), "");
  EXPECT_EQ(Value("\"a"), "bad: a string does not end");
  EXPECT_EQ(Value("\"a\\"), "bad: a string does not end");
  EXPECT_EQ(Value("\"a\\\""), "bad: a string does not end");
}

TEST(Lexer, ReadsValues) {
  const std::pair<const char*, const char*> kCases[] = {
      {"12]", "12"},
      {"-12", "-12"},
      {"1.5,", "1.5"},
      {".5", ".5"},
      {"-.5", "-.5"},
      {"250ms", "250ms"},
      {"15m ", "15m"},
      {"1d]", "1d"},
      {"true", "true"},
      {"claude-sonnet-4-5]", "claude-sonnet-4-5"},
      {"summary:high", "summary:high"},
      {"a.b", "a.b"},
      {"15min", "bad: '15min' is neither a number nor a duration; quote it"},
      {"1.", "bad: '1.' is neither a number nor a duration; quote it"},
      {"-", "bad: '-' is neither a number nor a duration; quote it"},
      {"1.2.3", "bad: '1.2.3' is neither a number nor a duration; quote it"},
      {"1.5s", "bad: '1.5s' is neither a number nor a duration; quote it"},
      {"4-5", "bad: '4-5' is neither a number nor a duration; quote it"},
      {"]", "bad: expected a value but found ']'"},
      {"", "bad: expected a value but the text ends"},
      {"<b>", "bad: HTML strings are not supported"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(Value(text), expected) << text;
}

}  // namespace
}  // namespace fabro::workflow
