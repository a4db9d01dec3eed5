#include "gateway/json/decode.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/json/encode.h"
#include "tests/support/proto_source.h"

namespace fabro::json {
namespace {

using testing::ProtoSource;

constexpr char kSchema[] = R"(
  message All {
    bool flag = 1; int32 i32 = 2; int64 i64 = 3; uint32 u32 = 4; uint64 u64 = 5; float f = 6; double d = 7;
    string text = 8; bytes raw = 9; Color color = 10;
    optional string maybe = 11; Inner inner = 12; repeated int64 numbers = 13; repeated Inner inners = 14;
    map<string, string> labels = 15; map<int32, Inner> by_number = 16;
    google.protobuf.Timestamp at = 17; google.protobuf.Duration lasts = 18; google.protobuf.Struct any = 19;
    google.protobuf.Value value = 20; google.protobuf.ListValue list = 21; google.protobuf.Int64Value wrapped = 22;
    repeated Color colors = 24; map<bool, uint64> by_flag = 31;
    string key = 32 [(fabro.api.v1.field).header = "Idempotency-Key"];
    int32 clamped = 33 [(fabro.api.v1.field) = {maximum: 100 clamp: true}];
  }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_LIGHT_BLUE = 2; }
  message Inner { string name = 1; All all = 2; }
  message Flat {
    string id = 1;
    Inner beside = 2 [(fabro.api.v1.field).flatten = true];
    oneof payload { option (fabro.api.v1.tag) = "kind"; Empty plain = 3; Count count = 4; }
  }
  message Count { int32 n = 1; }
  message Empty {}
)";

class JsonDecode : public ::testing::Test {
 protected:
  // Decodes and encodes again; or the faults, one a line.
  std::string Echo(const std::string& type, std::string_view text) {
    const Shape& shape = *shapes_->Find(source_.Type(type));
    const std::unique_ptr<google::protobuf::Message> message = source_.New(type);
    if (const absl::Status status = Decode(shape, text, message.get()); !status.ok()) return Describe(status);
    return message->ShortDebugString();
  }
  static std::string Describe(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    std::vector<std::string> lines;
    const ErrorDetail detail = DetailOf(status).value_or(ErrorDetail{});
    for (const FieldViolation& violation : detail.fields) {
      EXPECT_TRUE(violation.description.starts_with(violation.field.empty() ? "The body" : violation.field));
      lines.push_back(violation.description);
    }
    return lines.empty() ? MessageOf(status) : Join(lines, "\n");
  }

  ProtoSource source_{kSchema};
  std::unique_ptr<const Shapes> shapes_ =
      *Shapes::Build({source_.Type("All"), source_.Type("Flat")}, source_.factory());
};

TEST_F(JsonDecode, ReadsEveryKind) {
  EXPECT_EQ(
      Echo("All", R"({"flag":true,"i32":-2147483648,"i64":9007199254740993,"u32":4294967295,
        "u64":18446744073709551615,"f":0.5,"d":1e300,"text":"a\u00e9","raw":"/wA=","color":"light_blue","maybe":"",
        "inner":{"name":"x"},"numbers":[1,-2],"inners":[{"name":"y"},{}],"labels":{"a":"1"},
        "by_number":{"7":{"name":"z"}},"at":"2026-03-30T14:00:00.005+02:00","lasts":"1.5s","any":{"n":null},
        "value":[true,1.5,"s",{}],"list":[],"wrapped":0,"colors":["red"],"by_flag":{"true":1}})"),
      "flag: true i32: -2147483648 i64: 9007199254740993 u32: 4294967295 u64: 18446744073709551615 f: 0.5 d: "
      "1e+300 "
      "text: \"a\\303\\251\" raw: \"\\377\\000\" color: COLOR_LIGHT_BLUE maybe: \"\" inner { name: \"x\" } "
      "numbers: 1 "
      "numbers: -2 inners { name: \"y\" } inners { } labels { key: \"a\" value: \"1\" } "
      "by_number { key: 7 value { name: \"z\" } } at { seconds: 1774872000 nanos: 5000000 } "
      "lasts { seconds: 1 nanos: 500000000 } any { fields { key: \"n\" value { null_value: NULL_VALUE } } } "
      "value { list_value { values { bool_value: true } values { number_value: 1.5 } values { string_value: "
      "\"s\" } "
      "values { struct_value { } } } } list { } wrapped { } colors: COLOR_RED by_flag { key: true value: 1 "
      "}");
}

TEST_F(JsonDecode, IgnoresUnknownMembersAndTakesNullAsUnset) {
  EXPECT_EQ(
      Echo("All", R"({"zzz":{"deep":[1,2]},"text":null,"maybe":null,"inner":null,"numbers":null,"labels":null,
                            "value":null,"color":null,"key":"not from a body"})"),
      "");
}

TEST_F(JsonDecode, NamesEveryFaultByItsPath) {
  EXPECT_EQ(Echo("All", R"({"flag":1,"text":5,"color":"pink","inner":[],"numbers":[1,"2",null],
                           "inners":[{},{"name":{}},7],"labels":{"a":1},"by_number":{"x":{}},"at":"yesterday",
                           "any":[],"list":{},"raw":"*","by_flag":{"yes":1},"wrapped":"1"})"),
            "flag must be true or false.\n"
            "text must be a string.\n"
            "color must be one of red, light_blue.\n"
            "inner must be an object.\n"
            "numbers[1] must be a whole number from -9223372036854775808 to 9223372036854775807.\n"
            "numbers[2] must be a whole number from -9223372036854775808 to 9223372036854775807.\n"
            "inners[1].name must be a string.\n"
            "inners[2] must be an object.\n"
            "labels.a must be a string.\n"
            "by_number.x must be a whole number from -2147483648 to 2147483647.\n"
            "at must be a time by RFC 3339, as in \"2026-03-30T12:00:00Z\".\n"
            "any must be an object.\n"
            "list must be an array.\n"
            "raw must be base64 text.\n"
            "by_flag.yes must be true or false.\n"
            "wrapped must be a whole number from -9223372036854775808 to 9223372036854775807.");
  EXPECT_EQ(Echo("All", R"({"inner":{"all":{"inner":{"all":{"numbers":true}}}}})"),
            "inner.all.inner.all.numbers must be an array.");
  for (const char* body : {"[]", "null", "5", "\"x\"", "true"}) {
    EXPECT_EQ(Echo("All", body), "The body must be a JSON object.");
  }
}

TEST_F(JsonDecode, StopsCountingFaultsSomewhere) {
  std::string body = "{\"numbers\":[";
  for (int i = 0; i < 1000; ++i) body += "true,";
  const std::string said = Echo("All", body + "true]}");
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n') + 1, static_cast<int>(kMaxFaults));
}

TEST_F(JsonDecode, TakesAWholeNumberHoweverItIsWritten) {
  EXPECT_EQ(Echo("All", R"({"i32":1.0,"i64":1e3,"u32":-0,"u64":50e-1})"), "i32: 1 i64: 1000 u64: 5");
  for (const char* value :
       {"1.5", "1e-1", "\"1\"", "true", "2147483648", "-2147483649", "1e10", "1e400", "{}"}) {
    EXPECT_EQ(Echo("All", StrCat("{\"i32\":", value, '}')),
              "i32 must be a whole number from -2147483648 to 2147483647.")
        << value;
  }
  for (const char* value : {"-1", "18446744073709551616", "1e19", "-1.0"}) {
    EXPECT_EQ(Echo("All", StrCat("{\"u64\":", value, '}')),
              "u64 must be a whole number from 0 to 18446744073709551615.")
        << value;
  }
  EXPECT_EQ(Echo("All", R"({"clamped":99999999999,"i32":7})"), "i32: 7 clamped: 2147483647");
}

TEST_F(JsonDecode, RefusesNumbersThatDoNotFit) {
  EXPECT_EQ(Echo("All", R"({"d":1e400})"), "d must be a number.");
  EXPECT_EQ(Echo("All", R"({"f":1e39})"), "f must be a number.");
  EXPECT_EQ(Echo("All", R"({"d":"1"})"), "d must be a number.");
  EXPECT_EQ(Echo("All", R"({"any":{"a":[1e999]}})"), "any.a[0] must be a number.");
}

TEST_F(JsonDecode, ReadsFlattenedMessagesAndTaggedOneofs) {
  EXPECT_EQ(Echo("Flat", R"({"id":"1"})"), "id: \"1\"");
  EXPECT_EQ(Echo("Flat", R"({"n":5,"kind":"count","id":"1"})"), "id: \"1\" count { n: 5 }");
  EXPECT_EQ(Echo("Flat", R"({"name":"x","kind":"plain"})"), "beside { name: \"x\" } plain { }");
  EXPECT_EQ(Echo("Flat", R"({"name":null})"), "");
  EXPECT_EQ(Echo("Flat", R"({"kind":"other"})"), "kind must be one of plain, count.");
  EXPECT_EQ(Echo("Flat", R"({"kind":7})"), "kind must be one of plain, count.");
  EXPECT_EQ(Echo("Flat", R"({"kind":"count","n":"x"})"),
            "n must be a whole number from -2147483648 to 2147483647.");
  EXPECT_EQ(Echo("Flat", R"({"kind":null})"), "");
}

TEST_F(JsonDecode, RefusesWhatProtobufCouldNotReadAtTheOtherEnd) {
  const auto nested = [](int depth) {
    std::string text = "1";
    for (int i = 0; i < depth; ++i) text = StrCat("{\"a\":", text, '}');
    return StrCat("{\"any\":", text, '}');
  };
  // As deep as is let through, it crosses a wire.
  int depth = 1;
  while (!Echo("All", nested(depth)).ends_with("nested less deeply.")) ++depth;
  EXPECT_GE(depth, 25);
  const auto message = source_.New("All");
  ASSERT_TRUE(Decode(*shapes_->Find(source_.Type("All")), nested(depth - 1), message.get()).ok());
  EXPECT_TRUE(source_.New("All")->ParseFromString(message->SerializeAsString()));

  std::string recursive = "{}";
  for (int i = 0; i < 31; ++i) recursive = StrCat("{\"inner\":{\"all\":", recursive, "}}");
  EXPECT_EQ(Echo("All", recursive).find("must be"), std::string::npos);
}

TEST_F(JsonDecode, ReplacesWhatWasSetBefore) {
  const auto message = source_.Make("All", "numbers: [7, 8] labels { key: 'old' value: 'x' } text: 'old'");
  ASSERT_TRUE(Decode(*shapes_->Find(source_.Type("All")), R"({"numbers":[1],"labels":{},"text":"new"})",
                     message.get())
                  .ok());
  EXPECT_EQ(message->ShortDebugString(), "text: \"new\" numbers: 1");
}

TEST_F(JsonDecode, ReadsBareTextStrictly) {
  const Shape& shape = *shapes_->Find(source_.Type("All"));
  const auto read = [&](const char* field, std::string_view text) -> std::string {
    const auto message = source_.New("All");
    Faults faults;
    DecodeText(*shape.FindField(field), text, "page[limit]", message.get(), faults);
    return faults.empty() ? message->ShortDebugString() : faults.front().description;
  };
  EXPECT_EQ(read("i32", "-5"), "i32: -5");
  EXPECT_EQ(read("clamped", "99999999999999999999"), "clamped: 2147483647");
  EXPECT_EQ(read("clamped", "-99999999999999999999"), "clamped: -2147483648");
  for (const char* text : {"", "1.0", "1e2", " 1", "+1", "0x1", "one", "-", "5-"}) {
    EXPECT_EQ(read("i32", text), "page[limit] must be a whole number from -2147483648 to 2147483647.")
        << text;
    EXPECT_EQ(read("clamped", text), "page[limit] must be a whole number from -2147483648 to 2147483647.")
        << text;
  }
  EXPECT_EQ(read("color", "red"), "color: COLOR_RED");
  EXPECT_EQ(read("color", "RED"), "page[limit] must be one of red, light_blue.");
  EXPECT_EQ(read("flag", "true"), "flag: true");
  EXPECT_EQ(read("flag", "1"), "page[limit] must be true or false.");
  EXPECT_EQ(read("text", "a b"), "text: \"a b\"");
  EXPECT_EQ(read("numbers", "7"), "numbers: 7");
  EXPECT_EQ(read("d", "0.5"), "d: 0.5");
  EXPECT_EQ(read("wrapped", "3"), "wrapped { value: 3 }");
  EXPECT_EQ(read("at", "1970-01-01T00:00:00Z"), "at { }");
}

}  // namespace
}  // namespace fabro::json
