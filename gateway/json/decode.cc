#include "gateway/json/decode.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <utility>

#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/base/time.h"
#include "gateway/json/text.h"

namespace fabro::json {
namespace {

namespace pb = google::protobuf;

// protobuf refuses to parse messages nested over 100 levels, and a level of a Struct costs three of them.
// What it could not parse at the other end is refused here, where the caller can be told the field.
constexpr int kMaxMessageLevels = 90;

// A place in the document; its text is made only when there is something to say about it.
struct Place {
  const Place* parent = nullptr;
  std::string_view name;      // a member
  std::ptrdiff_t index = -1;  // or an element

  std::string ToString() const {
    std::string path = parent == nullptr ? "" : parent->ToString();
    if (index >= 0) return StrCat(path, '[', index, ']');
    if (!path.empty() && !name.empty()) path += '.';
    return path += TruncateUtf8(name, 100);
  }
};

class Decoder {
 public:
  explicit Decoder(Faults& faults) : faults_(faults) {}

  void Members(const Shape& shape, Node object, const Place& place, pb::Message* message, int level,
               std::span<const FieldShape* const> skip = {});
  void Field(const FieldShape& field, Node value, const Place& place, pb::Message* message, int level);
  // A scalar from bare text, as if it were a JSON string or number of the right type.
  void Text(const FieldShape& field, std::string_view text, const Place& place, pb::Message* message);

  bool IsObject(Node value, const Place& place);

 private:
  // Where a decoded value goes: a field, a new element of a list, or the value of a map entry.
  struct Target {
    const FieldShape& field;
    const pb::FieldDescriptor* descriptor;
    pb::Message* message;
    bool add;
  };

  void Fault(const Place& place, std::string_view must);
  bool TooDeep(const Place& place, int level);
  void Value(const Target& target, Node value, const Place& place, int level);
  void MessageValue(const Target& target, Node value, const Place& place, int level);
  void String(const Target& target, std::string_view text, const Place& place);
  void Number(const Target& target, std::string_view text, const Place& place);
  void Bool(const Target& target, bool value);
  void Word(const Target& target, std::string_view text, const Place& place);
  void WellKnownText(const Target& target, std::string_view text, const Place& place);
  void List(const FieldShape& field, Node value, const Place& place, pb::Message* message, int level);
  void Map(const FieldShape& field, Node value, const Place& place, pb::Message* message, int level);
  bool MapKey(const FieldShape& field, std::string_view key, const Place& place, pb::Message* entry);
  template <std::integral T>
  std::optional<T> Integer(const FieldShape& field, std::string_view text, const Place& place);
  template <std::floating_point T>
  std::optional<T> Floating(std::string_view text, const Place& place);
  pb::Message* Mutable(const Target& target);

  void Struct(pb::Struct& out, Node value, const Place& place, int level);
  void ListValue(pb::ListValue& out, Node value, const Place& place, int level);
  void AnyValue(pb::Value& out, Node value, const Place& place, int level);

  Faults& faults_;
};

bool IsNumeric(Kind kind) { return kind >= Kind::kInt32 && kind <= Kind::kDouble; }
bool IsMessage(Kind kind) { return kind >= Kind::kMessage; }

void Decoder::Fault(const Place& place, std::string_view must) {
  if (faults_.size() >= kMaxFaults) return;
  std::string path = place.ToString();
  std::string sentence = StrCat(path.empty() ? "The body" : path, " must be ", must, '.');
  faults_.push_back({.field = std::move(path), .description = std::move(sentence)});
}

bool Decoder::TooDeep(const Place& place, int level) {
  if (level <= kMaxMessageLevels) return false;
  Fault(place, "nested less deeply");
  return true;
}

bool Decoder::IsObject(Node value, const Place& place) {
  if (value.type() == Type::kObject) return true;
  Fault(place, place.ToString().empty() ? "a JSON object" : "an object");
  return false;
}

void Decoder::Members(const Shape& shape, Node object, const Place& place, pb::Message* message, int level,
                      std::span<const FieldShape* const> skip) {
  if (TooDeep(place, level)) return;
  for (std::optional<Node> child = object.First(); child; child = child->Next()) {
    const auto at = shape.by_name.find(child->key());
    if (at == shape.by_name.end() || std::find(skip.begin(), skip.end(), at->second) != skip.end()) continue;
    Field(*at->second, *child, Place{.parent = &place, .name = at->second->name}, message, level);
  }
  for (const Step& step : shape.steps) {
    if (step.tag != nullptr) {
      const std::optional<Node> key = object.Find(step.tag->key);
      if (!key || key->type() == Type::kNull) continue;
      const TagShape::Member* member = key->type() == Type::kString ? step.tag->Find(key->text()) : nullptr;
      if (member == nullptr) {
        std::vector<std::string> words;
        for (const TagShape::Member& known : step.tag->members) words.push_back(known.word);
        Fault(Place{.parent = &place, .name = step.tag->key}, StrCat("one of ", Join(words, ", ")));
        continue;
      }
      pb::Message* inner = shape.reflection->MutableMessage(message, member->field->field);
      Members(*member->field->message, object, place, inner, level + 1);
    } else if (step.field->flatten) {
      // Set only when one of its own members is there: the message has presence, its absence means something.
      const Shape& inner = *step.field->message;
      bool any = !inner.tags.empty() && object.Find(inner.tags.front().key).has_value();
      for (std::optional<Node> child = object.First(); child && !any; child = child->Next()) {
        any = child->type() != Type::kNull && inner.by_name.contains(child->key());
      }
      if (any) {
        Members(inner, object, place, shape.reflection->MutableMessage(message, step.field->field),
                level + 1);
      }
    }
  }
}

void Decoder::Field(const FieldShape& field, Node value, const Place& place, pb::Message* message,
                    int level) {
  if (value.type() == Type::kNull) return message->GetReflection()->ClearField(message, field.field);
  switch (field.repeat) {
    case Repeat::kOne:
      return Value({.field = field, .descriptor = field.field, .message = message, .add = false}, value,
                   place, level);
    case Repeat::kList:
      return List(field, value, place, message, level);
    case Repeat::kMap:
      return Map(field, value, place, message, level);
  }
}

void Decoder::List(const FieldShape& field, Node value, const Place& place, pb::Message* message, int level) {
  if (value.type() != Type::kArray) return Fault(place, "an array");
  message->GetReflection()->ClearField(message, field.field);
  const Target target{.field = field, .descriptor = field.field, .message = message, .add = true};
  std::ptrdiff_t index = 0;
  for (std::optional<Node> child = value.First(); child; child = child->Next(), ++index) {
    Value(target, *child, Place{.parent = &place, .name = {}, .index = index}, level);
  }
}

void Decoder::Map(const FieldShape& field, Node value, const Place& place, pb::Message* message, int level) {
  if (value.type() != Type::kObject) return Fault(place, "an object");
  const pb::Reflection* reflection = message->GetReflection();
  reflection->ClearField(message, field.field);
  for (std::optional<Node> child = value.First(); child; child = child->Next()) {
    const Place inside{.parent = &place, .name = child->key()};
    pb::Message* entry = reflection->AddMessage(message, field.field);
    if (!MapKey(field, child->key(), inside, entry)) continue;
    Value({.field = field, .descriptor = field.map_value, .message = entry, .add = false}, *child, inside,
          level + 1);
  }
}

bool Decoder::MapKey(const FieldShape& field, std::string_view key, const Place& place, pb::Message* entry) {
  const std::size_t faults_before = faults_.size();
  FieldShape shape;  // the key as a field of the entry
  shape.field = field.map_key;
  shape.kind = field.key_kind;
  Text(shape, key, place, entry);
  return faults_.size() == faults_before;
}

void Decoder::Value(const Target& target, Node value, const Place& place, int level) {
  const Kind kind = target.field.kind;
  if (IsMessage(kind)) return MessageValue(target, value, place, level + 1);
  if (kind == Kind::kBool) {
    return value.is_bool() ? Bool(target, value.type() == Type::kTrue) : Fault(place, "true or false");
  }
  if (IsNumeric(kind)) {
    // The range is said even to those who sent no number at all.
    return Number(target, value.type() == Type::kNumber ? value.text() : std::string_view(), place);
  }
  if (kind == Kind::kEnum) {
    return Word(target, value.type() == Type::kString ? value.text() : std::string_view(), place);
  }
  if (value.type() != Type::kString) return Fault(place, "a string");
  String(target, value.text(), place);
}

pb::Message* Decoder::Mutable(const Target& target) {
  const pb::Reflection* reflection = target.message->GetReflection();
  return target.add ? reflection->AddMessage(target.message, target.descriptor)
                    : reflection->MutableMessage(target.message, target.descriptor);
}

void Decoder::MessageValue(const Target& target, Node value, const Place& place, int level) {
  switch (target.field.kind) {
    case Kind::kTimestamp:
    case Kind::kDuration:
      return WellKnownText(target, value.type() == Type::kString ? value.text() : std::string_view(), place);
    case Kind::kStruct:
      if (!IsObject(value, place)) return;
      return Struct(static_cast<pb::Struct&>(*Mutable(target)), value, place, level);
    case Kind::kListValue:
      if (value.type() != Type::kArray) return Fault(place, "an array");
      return ListValue(static_cast<pb::ListValue&>(*Mutable(target)), value, place, level);
    case Kind::kValue:
      return AnyValue(static_cast<pb::Value&>(*Mutable(target)), value, place, level);
    case Kind::kWrapper: {
      const FieldShape& inner = target.field.message->fields.front();
      if (value.type() == Type::kNull) return Fault(place, "a value, not null");  // an element of a list
      return Value({.field = inner, .descriptor = inner.field, .message = Mutable(target), .add = false},
                   value, place, level);
    }
    default:
      if (!IsObject(value, place)) return;
      return Members(*target.field.message, value, place, Mutable(target), level);
  }
}

void Decoder::Bool(const Target& target, bool value) {
  const pb::Reflection* reflection = target.message->GetReflection();
  if (target.add) return reflection->AddBool(target.message, target.descriptor, value);
  reflection->SetBool(target.message, target.descriptor, value);
}

void Decoder::String(const Target& target, std::string_view text, const Place& place) {
  std::string value;
  if (target.field.kind == Kind::kBytes) {
    std::optional<std::string> bytes = ParseBase64(text);
    if (!bytes) return Fault(place, "base64 text");
    value = *std::move(bytes);
  } else {
    value = text;
  }
  const pb::Reflection* reflection = target.message->GetReflection();
  if (target.add) return reflection->AddString(target.message, target.descriptor, std::move(value));
  reflection->SetString(target.message, target.descriptor, std::move(value));
}

void Decoder::Word(const Target& target, std::string_view text, const Place& place) {
  const EnumShape& words = *target.field.words;
  const auto at = words.numbers.find(text);
  if (at == words.numbers.end()) return Fault(place, StrCat("one of ", Join(words.words, ", ")));
  const pb::Reflection* reflection = target.message->GetReflection();
  if (target.add) return reflection->AddEnumValue(target.message, target.descriptor, at->second);
  reflection->SetEnumValue(target.message, target.descriptor, at->second);
}

// The whole number a text says, "3", "3.0" and "3e0" alike, as JSON Schema counts integers. Empty text is no
// number.
template <std::integral T>
std::optional<T> Decoder::Integer(const FieldShape& field, std::string_view text, const Place& place) {
  using Limits = std::numeric_limits<T>;
  T whole{};
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, whole);
  if (read.ptr == end && read.ec == std::errc() && !text.empty()) return whole;
  if (read.ptr == end && read.ec == std::errc::result_out_of_range && field.bounds.clamp) {
    return text.starts_with('-') ? Limits::min()
                                 : Limits::max();  // the core moves it on to the field's own bound
  }
  constexpr double kExact =
      9007199254740992;  // 2^53: above it a double no longer says which integer was meant
  const std::optional<double> number = ParseDouble(text);
  const bool is_whole = number && std::trunc(*number) == *number && std::fabs(*number) <= kExact;
  if (is_whole && *number >= static_cast<double>(Limits::min()) &&
      *number <= static_cast<double>(Limits::max())) {
    return static_cast<T>(*number);
  }
  Fault(place, StrCat("a whole number from ", Limits::min(), " to ", Limits::max()));
  return std::nullopt;
}

template <std::floating_point T>
std::optional<T> Decoder::Floating(std::string_view text, const Place& place) {
  const std::optional<double> number = ParseDouble(text);
  if (number && std::fabs(*number) <= static_cast<double>(std::numeric_limits<T>::max())) {
    return static_cast<T>(*number);
  }
  Fault(place, "a number");
  return std::nullopt;
}

void Decoder::Number(const Target& target, std::string_view text, const Place& place) {
  const pb::Reflection* r = target.message->GetReflection();
  pb::Message* m = target.message;
  const pb::FieldDescriptor* f = target.descriptor;
  switch (target.field.kind) {
    case Kind::kInt32:
      if (const auto v = Integer<std::int32_t>(target.field, text, place))
        target.add ? r->AddInt32(m, f, *v) : r->SetInt32(m, f, *v);
      return;
    case Kind::kInt64:
      if (const auto v = Integer<std::int64_t>(target.field, text, place))
        target.add ? r->AddInt64(m, f, *v) : r->SetInt64(m, f, *v);
      return;
    case Kind::kUint32:
      if (const auto v = Integer<std::uint32_t>(target.field, text, place)) {
        target.add ? r->AddUInt32(m, f, *v) : r->SetUInt32(m, f, *v);
      }
      return;
    case Kind::kUint64:
      if (const auto v = Integer<std::uint64_t>(target.field, text, place)) {
        target.add ? r->AddUInt64(m, f, *v) : r->SetUInt64(m, f, *v);
      }
      return;
    case Kind::kFloat:
      if (const auto v = Floating<float>(text, place))
        target.add ? r->AddFloat(m, f, *v) : r->SetFloat(m, f, *v);
      return;
    default:
      if (const auto v = Floating<double>(text, place))
        target.add ? r->AddDouble(m, f, *v) : r->SetDouble(m, f, *v);
  }
}

void Decoder::WellKnownText(const Target& target, std::string_view text, const Place& place) {
  if (target.field.kind == Kind::kDuration) {
    const std::optional<DurationParts> parts = ParseDuration(text);
    if (!parts) return Fault(place, "a duration in seconds, as in \"1.5s\"");
    auto& duration = static_cast<pb::Duration&>(*Mutable(target));
    duration.set_seconds(parts->seconds);
    duration.set_nanos(parts->nanos);
    return;
  }
  const std::optional<fabro::Timestamp> at = ParseRfc3339(text);
  if (!at) return Fault(place, "a time by RFC 3339, as in \"2026-03-30T12:00:00Z\"");
  auto& timestamp = static_cast<pb::Timestamp&>(*Mutable(target));
  const std::int64_t millis = (at->unix_ms % 1000 + 1000) % 1000;
  timestamp.set_seconds((at->unix_ms - millis) / 1000);
  timestamp.set_nanos(static_cast<std::int32_t>(millis) * 1000000);
}

void Decoder::Struct(pb::Struct& out, Node value, const Place& place, int level) {
  if (TooDeep(place, level)) return;
  for (std::optional<Node> child = value.First(); child; child = child->Next()) {
    AnyValue((*out.mutable_fields())[std::string(child->key())], *child,
             Place{.parent = &place, .name = child->key()},
             level + 2);  // the map's entry is a message too
  }
}

void Decoder::ListValue(pb::ListValue& out, Node value, const Place& place, int level) {
  if (TooDeep(place, level)) return;
  std::ptrdiff_t index = 0;
  for (std::optional<Node> child = value.First(); child; child = child->Next(), ++index) {
    AnyValue(*out.add_values(), *child, Place{.parent = &place, .name = {}, .index = index}, level + 1);
  }
}

void Decoder::AnyValue(pb::Value& out, Node value, const Place& place, int level) {
  if (TooDeep(place, level)) return;
  switch (value.type()) {
    case Type::kNull:
      out.set_null_value(pb::NULL_VALUE);
      return;
    case Type::kTrue:
    case Type::kFalse:
      out.set_bool_value(value.type() == Type::kTrue);
      return;
    case Type::kNumber:
      if (const auto number = Floating<double>(value.text(), place)) out.set_number_value(*number);
      return;
    case Type::kString:
      out.set_string_value(std::string(value.text()));
      return;
    case Type::kArray:
      return ListValue(*out.mutable_list_value(), value, place, level + 1);
    case Type::kObject:
      return Struct(*out.mutable_struct_value(), value, place, level + 1);
  }
}

void Decoder::Text(const FieldShape& field, std::string_view text, const Place& place, pb::Message* message) {
  const Target target{
      .field = field, .descriptor = field.field, .message = message, .add = field.repeat == Repeat::kList};
  switch (field.kind) {
    case Kind::kBool:
      if (text != "true" && text != "false") return Fault(place, "true or false");
      return Bool(target, text == "true");
    case Kind::kEnum:
      return Word(target, text, place);
    case Kind::kString:
    case Kind::kBytes:
      return String(target, text, place);
    case Kind::kTimestamp:
    case Kind::kDuration:
      return WellKnownText(target, text, place);
    case Kind::kWrapper: {
      FieldShape inner = field.message->fields.front();
      return Text(inner, text, place, Mutable(target));
    }
    case Kind::kFloat:
    case Kind::kDouble:
      return Number(target, text, place);
    default: {
      const bool is_decimal = text.find_first_not_of("-0123456789") == std::string_view::npos;  // not "1e2"
      return Number(target, is_decimal ? text : std::string_view(), place);
    }
  }
}

}  // namespace

absl::Status ToStatus(Faults faults) {
  if (faults.empty()) return absl::OkStatus();
  ErrorDetail detail{.reason = Reason::kInvalidArgument, .fields = std::move(faults)};
  const std::string message = detail.fields.front().description;
  return Error(absl::StatusCode::kInvalidArgument, detail, message);
}

absl::Status Decode(const Shape& shape, std::string_view text, pb::Message* message) {
  FABRO_ASSIGN_OR_RETURN(const Document document, Document::Parse(text));
  Faults faults;
  DecodeMessage(shape, document.root(), "", message, faults);
  return ToStatus(std::move(faults));
}

void DecodeMessage(const Shape& shape, Node value, std::string_view path, pb::Message* message,
                   Faults& faults, std::span<const FieldShape* const> skip) {
  Decoder decoder(faults);
  const Place place{.name = path};
  if (decoder.IsObject(value, place)) decoder.Members(shape, value, place, message, 1, skip);
}

void DecodeField(const FieldShape& field, Node value, std::string_view path, pb::Message* message,
                 Faults& faults) {
  Decoder(faults).Field(field, value, Place{.name = path}, message, 1);
}

void DecodeText(const FieldShape& field, std::string_view text, std::string_view name, pb::Message* message,
                Faults& faults) {
  Decoder(faults).Text(field, text, Place{.name = name}, message);
}

}  // namespace fabro::json
