// A JSON value to build a document from; objects keep the order in which their members were set.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fabro::openapi {

class Value {
 public:
  static Value Object() { return Value(Kind::kObject, ""); }
  static Value Array() { return Value(Kind::kArray, ""); }
  static Value Text(std::string_view text);
  static Value Literal(std::string json) {
    return Value(Kind::kLiteral, std::move(json));
  }  // JSON text as it is
  static Value Bool(bool value) { return Literal(value ? "true" : "false"); }
  static Value Number(double value);

  // For an object; the same key again replaces the value. Returns *this, so that calls can follow each other.
  Value& Set(std::string_view key, Value value);
  Value& Set(std::string_view key, std::string_view text) { return Set(key, Text(text)); }
  Value& Set(std::string_view key, const char* text) { return Set(key, Text(text)); }
  // For an array.
  Value& Add(Value value);
  Value& Add(std::string_view text) { return Add(Text(text)); }

  bool empty() const { return children_.empty(); }
  // Null when the object has no such member.
  Value* Find(std::string_view key);

  // With line breaks when `indent` is not negative; its members are indented by that and two more.
  void AppendTo(std::string& out, int indent) const;

 private:
  enum class Kind { kLiteral, kArray, kObject };
  Value(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  Kind kind_;
  std::string text_;
  std::vector<std::pair<std::string, Value>> children_;  // of an array: with empty keys
};

}  // namespace fabro::openapi
