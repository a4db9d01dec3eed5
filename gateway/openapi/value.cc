#include "gateway/openapi/value.h"

#include "core/base/strings.h"
#include "gateway/json/text.h"

namespace fabro::openapi {

Value Value::Text(std::string_view text) {
  std::string quoted;
  json::AppendQuoted(quoted, text);
  return Literal(std::move(quoted));
}

Value Value::Number(double value) {
  std::string text;
  json::AppendNumber(text, value);
  return Literal(std::move(text));
}

Value* Value::Find(std::string_view key) {
  for (auto& [name, value] : children_) {
    if (name == key) return &value;
  }
  return nullptr;
}

Value& Value::Set(std::string_view key, Value value) {
  if (Value* old = Find(key)) {
    *old = std::move(value);
  } else {
    children_.emplace_back(key, std::move(value));
  }
  return *this;
}

Value& Value::Add(Value value) {
  children_.emplace_back("", std::move(value));
  return *this;
}

void Value::AppendTo(std::string& out, int indent) const {
  if (kind_ == Kind::kLiteral) {
    out += text_;
    return;
  }
  const bool pretty = indent >= 0 && !children_.empty();
  const int inner = indent >= 0 ? indent + 2 : indent;
  out += kind_ == Kind::kObject ? '{' : '[';
  for (std::size_t i = 0; i < children_.size(); ++i) {
    if (i > 0) out += ',';
    if (pretty) out.append(1, '\n').append(static_cast<std::size_t>(inner), ' ');
    if (kind_ == Kind::kObject) {
      json::AppendQuoted(out, children_[i].first);
      out += pretty ? ": " : ":";
    }
    children_[i].second.AppendTo(out, inner);
  }
  if (pretty) out.append(1, '\n').append(static_cast<std::size_t>(indent), ' ');
  out += kind_ == Kind::kObject ? '}' : ']';
}

}  // namespace fabro::openapi
