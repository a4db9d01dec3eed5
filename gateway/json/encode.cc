#include "gateway/json/encode.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "gateway/json/text.h"

namespace fabro::json {
namespace {

namespace pb = google::protobuf;

// Objects and lists are written with a comma after every element; the last one becomes the closing bracket.
void Close(std::string& out, char open, char close) {
  if (out.back() == open) {
    out += close;
  } else {
    out.back() = close;
  }
}

void AppendBool(std::string& out, bool value) { out += value ? "true" : "false"; }

void AppendValue(std::string& out, const pb::Value& value);

void AppendStruct(std::string& out, const pb::Struct& object) {
  // The map's own order changes from one process to the next; readers compare and cache texts.
  std::vector<std::pair<std::string_view, const pb::Value*>> members;
  members.reserve(object.fields().size());
  for (const auto& [name, value] : object.fields()) members.emplace_back(name, &value);
  std::sort(members.begin(), members.end());
  out += '{';
  for (const auto& [name, value] : members) {
    AppendQuoted(out, name);
    out += ':';
    AppendValue(out, *value);
    out += ',';
  }
  Close(out, '{', '}');
}

void AppendListValue(std::string& out, const pb::ListValue& list) {
  out += '[';
  for (const pb::Value& value : list.values()) {
    AppendValue(out, value);
    out += ',';
  }
  Close(out, '[', ']');
}

// Nested only as deep as protobuf's own parser let it become.
void AppendValue(std::string& out, const pb::Value& value) {
  switch (value.kind_case()) {
    case pb::Value::kNumberValue:
      return AppendNumber(out, value.number_value());
    case pb::Value::kStringValue:
      return AppendQuoted(out, value.string_value());
    case pb::Value::kBoolValue:
      return AppendBool(out, value.bool_value());
    case pb::Value::kStructValue:
      return AppendStruct(out, value.struct_value());
    case pb::Value::kListValue:
      return AppendListValue(out, value.list_value());
    case pb::Value::kNullValue:
    case pb::Value::KIND_NOT_SET:
      break;
  }
  out += "null";
}

// The quoted word of an enum value; empty for the unspecified one and for a number this build does not know.
std::string_view Word(const EnumShape& words, int number) {
  if (number >= 0 && static_cast<std::size_t>(number) < words.by_number.size()) {
    return words.by_number[static_cast<std::size_t>(number)];
  }
  const auto at = words.rare.find(number);
  return at == words.rare.end() ? std::string_view() : at->second;
}

void AppendWord(std::string& out, const EnumShape& words, int number) {
  const std::string_view word = Word(words, number);
  out += word.empty() ? "null" : word;
}

void AppendBytes(std::string& out, const std::string& bytes) {
  out += '"';
  AppendBase64(out, bytes);
  out += '"';
}

void AppendMembers(const Shape& shape, const pb::Message& message, std::string& out);

// A message value of any kind.
void AppendMessage(std::string& out, const FieldShape& field, const pb::Message& value);

// The value of `descriptor`, which is `field` itself or the value of its map entry.
void AppendSingle(std::string& out, const FieldShape& field, const pb::FieldDescriptor* descriptor,
                  const pb::Reflection* reflection, const pb::Message& message) {
  switch (field.kind) {
    case Kind::kBool:
      return AppendBool(out, reflection->GetBool(message, descriptor));
    case Kind::kInt32:
      return AppendNumber(out, std::int64_t{reflection->GetInt32(message, descriptor)});
    case Kind::kInt64:
      return AppendNumber(out, std::int64_t{reflection->GetInt64(message, descriptor)});
    case Kind::kUint32:
      return AppendNumber(out, std::uint64_t{reflection->GetUInt32(message, descriptor)});
    case Kind::kUint64:
      return AppendNumber(out, std::uint64_t{reflection->GetUInt64(message, descriptor)});
    case Kind::kFloat:
      return AppendNumber(out, reflection->GetFloat(message, descriptor));
    case Kind::kDouble:
      return AppendNumber(out, reflection->GetDouble(message, descriptor));
    case Kind::kEnum:
      return AppendWord(out, *field.words, reflection->GetEnumValue(message, descriptor));
    case Kind::kString:
    case Kind::kBytes: {
      std::string scratch;
      const std::string& text = reflection->GetStringReference(message, descriptor, &scratch);
      return field.kind == Kind::kString ? AppendQuoted(out, text) : AppendBytes(out, text);
    }
    default:
      return AppendMessage(out, field, reflection->GetMessage(message, descriptor));
  }
}

void AppendMessage(std::string& out, const FieldShape& field, const pb::Message& value) {
  switch (field.kind) {
    case Kind::kTimestamp: {
      const auto& time = static_cast<const pb::Timestamp&>(value);
      out += '"';
      AppendTimestamp(out, time.seconds(), time.nanos());
      out += '"';
      return;
    }
    case Kind::kDuration: {
      const auto& duration = static_cast<const pb::Duration&>(value);
      out += '"';
      AppendDuration(out, duration.seconds(), duration.nanos());
      out += '"';
      return;
    }
    case Kind::kStruct:
      return AppendStruct(out, static_cast<const pb::Struct&>(value));
    case Kind::kValue:
      return AppendValue(out, static_cast<const pb::Value&>(value));
    case Kind::kListValue:
      return AppendListValue(out, static_cast<const pb::ListValue&>(value));
    case Kind::kWrapper: {
      const FieldShape& inner = field.message->fields.front();
      return AppendSingle(out, inner, inner.field, field.message->reflection, value);
    }
    default:
      return Encode(*field.message, value, out);
  }
}

void AppendElement(std::string& out, const FieldShape& field, const pb::Reflection* reflection,
                   const pb::Message& message, int index) {
  const pb::FieldDescriptor* descriptor = field.field;
  switch (field.kind) {
    case Kind::kBool:
      return AppendBool(out, reflection->GetRepeatedBool(message, descriptor, index));
    case Kind::kInt32:
      return AppendNumber(out, std::int64_t{reflection->GetRepeatedInt32(message, descriptor, index)});
    case Kind::kInt64:
      return AppendNumber(out, std::int64_t{reflection->GetRepeatedInt64(message, descriptor, index)});
    case Kind::kUint32:
      return AppendNumber(out, std::uint64_t{reflection->GetRepeatedUInt32(message, descriptor, index)});
    case Kind::kUint64:
      return AppendNumber(out, std::uint64_t{reflection->GetRepeatedUInt64(message, descriptor, index)});
    case Kind::kFloat:
      return AppendNumber(out, reflection->GetRepeatedFloat(message, descriptor, index));
    case Kind::kDouble:
      return AppendNumber(out, reflection->GetRepeatedDouble(message, descriptor, index));
    case Kind::kEnum:
      return AppendWord(out, *field.words, reflection->GetRepeatedEnumValue(message, descriptor, index));
    case Kind::kString:
    case Kind::kBytes: {
      std::string scratch;
      const std::string& text = reflection->GetRepeatedStringReference(message, descriptor, index, &scratch);
      return field.kind == Kind::kString ? AppendQuoted(out, text) : AppendBytes(out, text);
    }
    default:
      return AppendMessage(out, field, reflection->GetRepeatedMessage(message, descriptor, index));
  }
}

void AppendList(std::string& out, const FieldShape& field, const pb::Reflection* reflection,
                const pb::Message& message) {
  const int size = reflection->FieldSize(message, field.field);
  out += '[';
  for (int i = 0; i < size; ++i) {
    AppendElement(out, field, reflection, message, i);
    out += ',';
  }
  Close(out, '[', ']');
}

std::string KeyText(const FieldShape& field, const pb::Message& entry) {
  const pb::Reflection* reflection = entry.GetReflection();
  std::string text;
  switch (field.key_kind) {
    case Kind::kBool:
      AppendBool(text, reflection->GetBool(entry, field.map_key));
      break;
    case Kind::kInt32:
      AppendNumber(text, std::int64_t{reflection->GetInt32(entry, field.map_key)});
      break;
    case Kind::kInt64:
      AppendNumber(text, std::int64_t{reflection->GetInt64(entry, field.map_key)});
      break;
    case Kind::kUint32:
      AppendNumber(text, std::uint64_t{reflection->GetUInt32(entry, field.map_key)});
      break;
    case Kind::kUint64:
      AppendNumber(text, std::uint64_t{reflection->GetUInt64(entry, field.map_key)});
      break;
    default:
      text = reflection->GetString(entry, field.map_key);
  }
  return text;
}

void AppendMap(std::string& out, const FieldShape& field, const pb::Reflection* reflection,
               const pb::Message& message) {
  const int size = reflection->FieldSize(message, field.field);
  std::vector<std::pair<std::string, const pb::Message*>> entries;  // sorted: the map's order is by chance
  entries.reserve(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    const pb::Message& entry = reflection->GetRepeatedMessage(message, field.field, i);
    entries.emplace_back(KeyText(field, entry), &entry);
  }
  std::sort(entries.begin(), entries.end());
  out += '{';
  for (const auto& [key, entry] : entries) {
    AppendQuoted(out, key);
    out += ':';
    AppendSingle(out, field, field.map_value, entry->GetReflection(), *entry);
    out += ',';
  }
  Close(out, '{', '}');
}

bool IsDefault(const FieldShape& field, const pb::Reflection* reflection, const pb::Message& message) {
  if (field.repeat != Repeat::kOne) return reflection->FieldSize(message, field.field) == 0;
  return !reflection->HasField(message, field.field);  // without presence: differs from the default
}

// Whether the field is left out (or null): unset, or an enum that says nothing.
bool IsUnset(const FieldShape& field, const pb::Reflection* reflection, const pb::Message& message) {
  if (field.has_presence && !reflection->HasField(message, field.field)) return true;
  return field.kind == Kind::kEnum && field.repeat == Repeat::kOne &&
         Word(*field.words, reflection->GetEnumValue(message, field.field)).empty();
}

void AppendFieldValue(std::string& out, const FieldShape& field, const pb::Reflection* reflection,
                      const pb::Message& message) {
  switch (field.repeat) {
    case Repeat::kOne:
      return AppendSingle(out, field, field.field, reflection, message);
    case Repeat::kList:
      return AppendList(out, field, reflection, message);
    case Repeat::kMap:
      return AppendMap(out, field, reflection, message);
  }
}

void AppendField(std::string& out, const FieldShape& field, const pb::Reflection* reflection,
                 const pb::Message& message) {
  if (field.flatten) {
    if (!reflection->HasField(message, field.field)) return;
    return AppendMembers(*field.message, reflection->GetMessage(message, field.field), out);
  }
  if (IsUnset(field, reflection, message)) {
    if (!field.nullable) return;
    out += field.prefix;
    out += "null,";
    return;
  }
  if (field.omit_empty && IsDefault(field, reflection, message)) return;
  out += field.prefix;
  AppendFieldValue(out, field, reflection, message);
  out += ',';
}

const TagShape::Member* SetMember(const TagShape& tag, const pb::Reflection* reflection,
                                  const pb::Message& message) {
  const pb::FieldDescriptor* set = reflection->GetOneofFieldDescriptor(message, tag.oneof);
  return set == nullptr ? nullptr : &tag.members[static_cast<std::size_t>(set->index_in_oneof())];
}

void AppendMembers(const Shape& shape, const pb::Message& message, std::string& out) {
  for (const Step& step : shape.steps) {
    if (step.field != nullptr) {
      AppendField(out, *step.field, shape.reflection, message);
      continue;
    }
    const TagShape::Member* member = SetMember(*step.tag, shape.reflection, message);
    if (member == nullptr) continue;
    out += member->prefix;
    out += ',';
    AppendMembers(*member->field->message, shape.reflection->GetMessage(message, member->field->field), out);
  }
}

}  // namespace

void Encode(const Shape& shape, const pb::Message& message, std::string& out) {
  out += '{';
  AppendMembers(shape, message, out);
  Close(out, '{', '}');
}

void EncodeField(const FieldShape& field, const pb::Message& message, std::string& out) {
  const pb::Reflection* reflection = message.GetReflection();
  if (IsUnset(field, reflection, message)) {
    out += "null";
    return;
  }
  AppendFieldValue(out, field, reflection, message);
}

std::string_view EncodeMember(const Shape& shape, const pb::Message& message, std::string& out) {
  if (shape.tags.empty()) return {};
  const TagShape::Member* member = SetMember(shape.tags.front(), shape.reflection, message);
  if (member == nullptr) return {};
  Encode(*member->field->message, shape.reflection->GetMessage(message, member->field->field), out);
  return member->word;
}

void AppendText(const FieldShape& field, const pb::Message& message, std::string& out) {
  const pb::Reflection* reflection = message.GetReflection();
  if (field.repeat != Repeat::kOne || IsUnset(field, reflection, message)) return;
  if (field.kind == Kind::kString) {
    std::string scratch;
    out += reflection->GetStringReference(message, field.field, &scratch);
    return;
  }
  std::string text;
  AppendSingle(text, field, field.field, reflection, message);
  std::string_view bare = text;
  if (bare.size() >= 2 && bare.front() == '"') bare = bare.substr(1, bare.size() - 2);
  out += bare;
}

}  // namespace fabro::json
