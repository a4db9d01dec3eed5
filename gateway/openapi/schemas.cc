#include "gateway/openapi/schemas.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::openapi {
namespace {

using json::FieldShape;
using json::Kind;
using json::Repeat;
using json::Shape;
using json::TagShape;

Value Typed(std::string_view type) { return std::move(Value::Object().Set("type", type)); }

Value Typed(std::string_view type, std::string_view format) {
  return std::move(Typed(type).Set("format", format));
}

Value SchemaReference(std::string_view name) {
  return std::move(Value::Object().Set("$ref", StrCat("#/components/schemas/", name)));
}

template <typename D>
std::string NestedName(const D& descriptor) {
  const auto* outer = descriptor.containing_type();
  return outer == nullptr ? descriptor.name() : NestedName(*outer) + descriptor.name();
}

// "stage_started" -> "StageStarted".
std::string Pascal(std::string_view word) {
  std::string text;
  bool upper = true;
  for (const char c : word) {
    if (c == '_' || c == '-') {
      upper = true;
      continue;
    }
    text += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return text;
}

void AddBounds(const FieldShape& field, Value& schema) {
  const json::Bounds& bounds = field.bounds;
  const bool is_text = field.kind == Kind::kString && field.repeat == Repeat::kOne;
  const std::string_view unit = field.repeat == Repeat::kList  ? "Items"
                                : field.repeat == Repeat::kMap ? "Properties"
                                                               : "Length";
  const std::uint32_t least =
      is_text && bounds.required ? std::max(bounds.min_length, 1u) : bounds.min_length;
  if (least != 0) schema.Set(StrCat("min", unit), Value::Number(least));
  if (bounds.max_length != 0) schema.Set(StrCat("max", unit), Value::Number(bounds.max_length));
  if (bounds.minimum) schema.Set("minimum", Value::Number(*bounds.minimum));
  if (bounds.maximum) schema.Set("maximum", Value::Number(*bounds.maximum));
  if (!bounds.pattern.empty()) schema.Set("pattern", StrCat("^(?:", bounds.pattern, ")$"));
  if (!bounds.format.empty()) schema.Set("format", bounds.format);
  if (!bounds.example.empty()) {
    schema.Set("examples", std::move(Value::Array().Add(Value::Literal(bounds.example))));
  }
}

// Lets the schema's values be null too.
Value OrNull(Value schema) {
  if (schema.Find("$ref") == nullptr && schema.Find("type") != nullptr) {
    Value types = Value::Array();
    types.Add(*schema.Find("type")).Add("null");
    return std::move(schema.Set("type", std::move(types)));
  }
  if (schema.Find("$ref") == nullptr) return schema;  // any value, null is one
  Value choice = Value::Array();
  choice.Add(std::move(schema)).Add(Typed("null"));
  return std::move(Value::Object().Set("oneOf", std::move(choice)));
}

}  // namespace

std::string Schemas::NameOf(const Shape& shape) { return NestedName(*shape.descriptor); }

void Schemas::UseAsRequest(const Shape& shape, const std::vector<const FieldShape*>& not_in_body) {
  Visit(shape, true, {});
  for (const FieldShape* field : not_in_body) uses_[NameOf(shape)].not_in_body.insert(field->name);
}

void Schemas::UseAsRequest(const FieldShape& field) { VisitField(field, true); }
void Schemas::UseAsResponse(const Shape& shape) { Visit(shape, false, {}); }
void Schemas::UseAsResponse(const FieldShape& field) { VisitField(field, false); }

void Schemas::UseMembers(const Shape& shape) {
  for (const TagShape::Member& member : shape.tags.front().members) Visit(*member.field->message, false, {});
}

void Schemas::Visit(const Shape& shape, bool request, const TagUse& tag) {
  Use& use = uses_[NameOf(shape)];
  FABRO_CHECK(use.shape == nullptr || use.shape->descriptor == shape.descriptor);  // two types of one name
  use.shape = &shape;
  use.tags.insert(tag);
  bool& known = request ? use.in_request : use.in_response;
  if (known) return;
  known = true;
  for (const json::Step& step : shape.steps) {
    if (step.field != nullptr) {
      VisitField(*step.field, request);
      continue;
    }
    for (const TagShape::Member& member : step.tag->members) {
      Visit(*member.field->message, request, {step.tag->key, member.word});
    }
  }
}

void Schemas::VisitField(const FieldShape& field, bool request) {
  if (field.words != nullptr) enums_[NestedName(*field.words->descriptor)] = field.words;
  if (field.kind != Kind::kMessage) return;
  if (!field.flatten) return Visit(*field.message, request, {});
  for (const json::Step& step : field.message->steps) {
    if (step.field != nullptr) VisitField(*step.field, request);
  }
}

bool Schemas::HoldsItsTag(const Shape& shape) const {
  const Use& use = uses_.at(NameOf(shape));
  return use.tags.size() == 1 && !use.tags.begin()->first.empty();
}

bool Schemas::IsRequired(const FieldShape& field, const Use& use) const {
  if (field.bounds.required) return true;
  if (!use.in_response || field.omit_empty) return false;
  return !field.has_presence || field.nullable;
}

void Schemas::AddProperties(const Shape& shape, const Use& use, Value& properties, Value& required) const {
  for (const json::Step& step : shape.steps) {
    if (step.tag != nullptr) continue;
    const FieldShape& field = *step.field;
    if (use.not_in_body.contains(field.name)) continue;
    if (field.flatten) {
      AddProperties(*field.message, use, properties, required);
      continue;
    }
    properties.Set(field.name, Field(field));
    if (IsRequired(field, use)) required.Add(field.name);
  }
}

Value Schemas::Message(const Shape& shape) const {
  const Use& use = uses_.at(NameOf(shape));
  Value properties = Value::Object();
  Value required = Value::Array();
  if (HoldsItsTag(shape)) {
    const auto& [key, word] = *use.tags.begin();
    properties.Set(key, std::move(Typed("string").Set("enum", std::move(Value::Array().Add(word)))));
    required.Add(key);
  }
  AddProperties(shape, use, properties, required);
  Value schema = Value::Object();
  const std::string& comment = comments_.Of(shape.descriptor->full_name());
  if (!comment.empty()) schema.Set("description", comment);
  Value object = Typed("object");
  if (!properties.empty()) object.Set("properties", std::move(properties));
  const bool has_members = object.Find("properties") != nullptr;
  if (!required.empty()) object.Set("required", std::move(required));
  if (shape.tags.empty()) {
    for (const char* key : {"type", "properties", "required"}) {
      if (const Value* part = object.Find(key)) schema.Set(key, *part);
    }
    return schema;
  }
  Value parts = Value::Array();
  if (has_members) parts.Add(std::move(object));
  for (const TagShape& tag : shape.tags) parts.Add(Choice(shape, tag));
  if (!has_members && shape.tags.size() == 1) {
    Value choice = Choice(shape, shape.tags.front());
    for (const char* key : {"oneOf", "discriminator"}) schema.Set(key, *choice.Find(key));
    return schema;
  }
  return std::move(schema.Set("allOf", std::move(parts)));
}

std::string Schemas::VariantName(const Shape& shape, const TagShape& tag,
                                 const TagShape::Member& member) const {
  if (HoldsItsTag(*member.field->message)) return NameOf(*member.field->message);
  return NameOf(shape) + Pascal(member.word);
}

Value Schemas::Choice(const Shape& shape, const TagShape& tag) const {
  Value choices = Value::Array();
  Value mapping = Value::Object();
  for (const TagShape::Member& member : tag.members) {
    const std::string name = VariantName(shape, tag, member);
    choices.Add(SchemaReference(name));
    mapping.Set(member.word, StrCat("#/components/schemas/", name));
  }
  Value discriminator = Value::Object();
  discriminator.Set("propertyName", tag.key).Set("mapping", std::move(mapping));
  return std::move(
      Value::Object().Set("oneOf", std::move(choices)).Set("discriminator", std::move(discriminator)));
}

Value Schemas::Enum(const json::EnumShape& words) const {
  Value schema = Typed("string");
  const std::string& comment = comments_.Of(words.descriptor->full_name());
  if (!comment.empty()) schema.Set("description", comment);
  Value all = Value::Array();
  for (const std::string& word : words.words) all.Add(word);
  return std::move(schema.Set("enum", std::move(all)));
}

Value Schemas::Reference(const Shape& shape) const { return SchemaReference(NameOf(shape)); }

Value Schemas::Single(const FieldShape& field) const {
  switch (field.kind) {
    case Kind::kBool:
      return Typed("boolean");
    case Kind::kInt32:
      return Typed("integer", "int32");
    case Kind::kInt64:
      return Typed("integer", "int64");
    case Kind::kUint32:
      return std::move(Typed("integer", "int64").Set("minimum", Value::Number(0)));
    case Kind::kUint64:
      return std::move(Typed("integer").Set("minimum", Value::Number(0)));
    case Kind::kFloat:
      return Typed("number", "float");
    case Kind::kDouble:
      return Typed("number", "double");
    case Kind::kString:
      return Typed("string");
    case Kind::kBytes:
      return std::move(Typed("string").Set("contentEncoding", "base64"));
    case Kind::kEnum:
      return SchemaReference(NestedName(*field.words->descriptor));
    case Kind::kMessage:
      return Reference(*field.message);
    case Kind::kWrapper:
      return Single(field.message->fields.front());
    case Kind::kTimestamp:
      return Typed("string", "date-time");
    case Kind::kDuration:
      return std::move(Typed("string").Set("pattern", "^-?[0-9]+(\\.[0-9]+)?s$"));
    case Kind::kStruct:
      return std::move(Typed("object").Set("additionalProperties", Value::Bool(true)));
    case Kind::kListValue:
      return std::move(Typed("array").Set("items", Value::Object()));
    case Kind::kValue:
      break;
  }
  return Value::Object();
}

Value Schemas::Field(const FieldShape& field, bool bare) const {
  Value schema = Single(field);
  if (field.repeat == Repeat::kList) schema = std::move(Typed("array").Set("items", std::move(schema)));
  if (field.repeat == Repeat::kMap) {
    schema = std::move(Typed("object").Set("additionalProperties", std::move(schema)));
  }
  AddBounds(field, schema);
  if (field.nullable) schema = OrNull(std::move(schema));
  const std::string& comment = comments_.Of(field.field->full_name());
  if (!bare && !comment.empty()) schema.Set("description", comment);
  return schema;
}

Value Schemas::Components() const {
  std::map<std::string, Value> named;
  for (const auto& [name, words] : enums_) named.emplace(name, Enum(*words));
  for (const auto& [name, use] : uses_) {
    named.emplace(name, Message(*use.shape));
    for (const TagShape& tag : use.shape->tags) {
      for (const TagShape::Member& member : tag.members) {
        if (HoldsItsTag(*member.field->message)) continue;
        Value key = Value::Object();
        key.Set(tag.key, std::move(Typed("string").Set("enum", std::move(Value::Array().Add(member.word)))));
        Value with_tag = Typed("object");
        with_tag.Set("properties", std::move(key)).Set("required", std::move(Value::Array().Add(tag.key)));
        Value parts = Value::Array();
        parts.Add(std::move(with_tag)).Add(Reference(*member.field->message));
        Value variant = Value::Object();
        variant.Set("description", comments_.Of(member.field->field->full_name()))
            .Set("allOf", std::move(parts));
        named.emplace(VariantName(*use.shape, tag, member), std::move(variant));
      }
    }
  }
  Value components = Value::Object();
  for (auto& [name, schema] : named) components.Set(name, std::move(schema));
  return components;
}

}  // namespace fabro::openapi
