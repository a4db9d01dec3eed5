#include "gateway/json/reader.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::json {
namespace {

// Writes a document back, to see that nothing was lost.
void Write(Node node, std::string& out) {
  switch (node.type()) {
    case Type::kNull:
      out += "null";
      return;
    case Type::kFalse:
      out += "false";
      return;
    case Type::kTrue:
      out += "true";
      return;
    case Type::kNumber:
      out += node.text();
      return;
    case Type::kString:
      out += JsonString(node.text());
      return;
    case Type::kArray:
    case Type::kObject:
      break;
  }
  const bool is_object = node.type() == Type::kObject;
  out += is_object ? '{' : '[';
  std::size_t count = 0;
  for (std::optional<Node> child = node.First(); child; child = child->Next()) {
    if (count++ > 0) out += ',';
    if (is_object) out += JsonString(child->key()) + ':';
    Write(*child, out);
  }
  EXPECT_EQ(node.size(), count);
  out += is_object ? '}' : ']';
}

std::string Echo(std::string_view text) {
  const absl::StatusOr<Document> document = Document::Parse(text);
  if (!document.ok()) return MessageOf(document.status());
  std::string out;
  Write(document->root(), out);
  return out;
}

TEST(JsonReader, KeepsEveryValue) {
  EXPECT_EQ(Echo(R"( { "a" : [ 1 , -0.5e+10 , { } , [ ] , "x" ] , "b":null,"c":{"d":true,"e":false} } )"),
            R"({"a":[1,-0.5e+10,{},[],"x"],"b":null,"c":{"d":true,"e":false}})");
  EXPECT_EQ(Echo("0"), "0");
  EXPECT_EQ(Echo("\"x\""), "\"x\"");
  EXPECT_EQ(Echo("[[[]],[]]"), "[[[]],[]]");
}

TEST(JsonReader, ResolvesEscapes) {
  const absl::StatusOr<Document> document =
      Document::Parse(R"({"k\u0065y":"\"\\\/\b\f\n\r\t\u00e9\u4e16\ud83d\ude00\u0000"})");
  ASSERT_TRUE(document.ok());
  const std::optional<Node> value = document->root().Find("key");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->text(), std::string_view("\"\\/\b\f\n\r\té世😀\0", 18));
}

TEST(JsonReader, FindsMembers) {
  const absl::StatusOr<Document> document = Document::Parse(R"({"a":{"b":1},"b":2})");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->root().Find("b")->text(), "2");
  EXPECT_EQ(document->root().Find("a")->Find("b")->text(), "1");
  EXPECT_FALSE(document->root().Find("c"));
  EXPECT_FALSE(document->root().Find("b")->Find("b"));
}

TEST(JsonReader, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(Echo(""), "The JSON is not valid: it ends too early (line 1, column 1).");
  EXPECT_EQ(Echo("{\n  \"ä\": 1,\n  \"ä\": 2\n}"),
            "The JSON is not valid: the key \"ä\" appears twice (line 3, column 3).");
  EXPECT_EQ(Echo("{\"a\":1} x"), "The JSON is not valid: something follows the value (line 1, column 9).");
  EXPECT_EQ(Echo("[1,]"), "The JSON is not valid: a value is expected (line 1, column 4).");
  EXPECT_EQ(Echo("{\"a\" 1}"), "The JSON is not valid: a colon is expected (line 1, column 6).");
  EXPECT_EQ(Echo("{\"a\":\"\xff\"}"), "The JSON is not valid: a byte is not UTF-8 (line 1, column 7).");
}

TEST(JsonReader, RefusesWhatIsNoJson) {
  const std::string_view wrong[] = {
      "{",
      "[",
      "}",
      "{]",
      "[}",
      "{\"a\"}",
      "{\"a\":}",
      "{,}",
      "{\"a\":1,}",
      "[1 2]",
      "tru",
      "truex",
      "nul",
      "01",
      "-",
      "+1",
      "1.",
      ".5",
      "1e",
      "1e+",
      "0x1",
      "NaN",
      "Infinity",
      "'a'",
      "\"a",
      "\"\\",
      "\"\\x\"",
      "\"\\u12\"",
      "\"\\u12g4\"",
      "\"\\ud800\"",
      "\"\\udc00\"",
      "\"\\ud800\\u0041\"",
      "\"\t\"",
      "\"a\nb\"",
      "{a:1}",
      "// x\n1",
      "1 1",
      "[1,,2]",
      "\xEF\xBB\xBF{}",
      "\"\xC0\xAF\"",
      "\"\xED\xA0\x80\"",
      "{\"a\":1,\"a\":1}",
      "{\"\\u0061\":1,\"a\":1}",
      "[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]",
  };
  for (const std::string_view text : wrong) EXPECT_FALSE(Document::Parse(text).ok()) << text;
  EXPECT_FALSE(Document::Parse(std::string_view("1\0", 2)).ok());
  EXPECT_FALSE(Document::Parse(std::string_view("\"\0\"", 3)).ok());
}

TEST(JsonReader, BoundsItsDepth) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(Document::Parse(nested(Document::kMaxDepth)).ok());
  EXPECT_FALSE(Document::Parse(nested(Document::kMaxDepth + 1)).ok());
  EXPECT_FALSE(Document::Parse(std::string(1000000, '[')).ok());
}

TEST(JsonReader, BoundsTheNumberOfValues) {
  const auto list = [](std::size_t count) {
    std::string text = "[1";
    for (std::size_t i = 2; i < count; ++i) text += ",1";
    return text + "]";
  };
  EXPECT_TRUE(Document::Parse(list(Document::kMaxValues)).ok());
  EXPECT_FALSE(Document::Parse(list(Document::kMaxValues + 1)).ok());
}

TEST(JsonReader, FindsADuplicateAmongManyKeys) {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += StrCat(i == 0 ? "" : ",", "\"key", i, "\":", i);
  EXPECT_TRUE(Document::Parse(text + "}").ok());
  EXPECT_FALSE(Document::Parse(text + ",\"key500\":0}").ok());
}

}  // namespace
}  // namespace fabro::json
