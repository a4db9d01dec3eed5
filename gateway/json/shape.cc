#include "gateway/json/shape.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "fabro/api/v1/annotations.pb.h"

namespace fabro::json {

namespace pb = google::protobuf;

namespace {

// RunStatus -> RUN_STATUS_, LLMKind -> LLM_KIND_.
std::string EnumPrefix(const std::string& type) {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  std::string out;
  for (std::size_t i = 0; i < type.size(); ++i) {
    const bool starts_word =
        upper(type[i]) && i > 0 && (!upper(type[i - 1]) || (i + 1 < type.size() && !upper(type[i + 1])));
    if (starts_word) out += '_';
    out += type[i] >= 'a' && type[i] <= 'z' ? static_cast<char>(type[i] - 'a' + 'A') : type[i];
  }
  return out + '_';
}

Kind MessageKind(const pb::Descriptor* type) {
  switch (type->well_known_type()) {
    case pb::Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      return Kind::kTimestamp;
    case pb::Descriptor::WELLKNOWNTYPE_DURATION:
      return Kind::kDuration;
    case pb::Descriptor::WELLKNOWNTYPE_STRUCT:
      return Kind::kStruct;
    case pb::Descriptor::WELLKNOWNTYPE_VALUE:
      return Kind::kValue;
    case pb::Descriptor::WELLKNOWNTYPE_LISTVALUE:
      return Kind::kListValue;
    case pb::Descriptor::WELLKNOWNTYPE_DOUBLEVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_FLOATVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_INT64VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_UINT64VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_INT32VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_UINT32VALUE:
    case pb::Descriptor::WELLKNOWNTYPE_STRINGVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_BYTESVALUE:
    case pb::Descriptor::WELLKNOWNTYPE_BOOLVALUE:
      return Kind::kWrapper;
    default:
      return Kind::kMessage;
  }
}

Kind KindOf(const pb::FieldDescriptor* field) {
  switch (field->type()) {
    case pb::FieldDescriptor::TYPE_BYTES:
      return Kind::kBytes;
    case pb::FieldDescriptor::TYPE_MESSAGE:
    case pb::FieldDescriptor::TYPE_GROUP:
      return MessageKind(field->message_type());
    default:
      break;
  }
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return Kind::kBool;
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return Kind::kInt32;
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return Kind::kInt64;
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return Kind::kUint32;
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return Kind::kUint64;
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return Kind::kFloat;
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return Kind::kDouble;
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return Kind::kEnum;
    default:
      return Kind::kString;
  }
}

Bounds BoundsOf(const api::v1::Field& options) {
  Bounds bounds{.required = options.required(),
                .pattern = options.pattern(),
                .min_length = options.min_length(),
                .max_length = options.max_length(),
                .clamp = options.clamp(),
                .format = options.format(),
                .example = options.example()};
  if (options.has_minimum()) bounds.minimum = options.minimum();
  if (options.has_maximum()) bounds.maximum = options.maximum();
  return bounds;
}

}  // namespace

const TagShape::Member* TagShape::Find(std::string_view word) const {
  const auto at =
      std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.word == word; });
  return at == members.end() ? nullptr : &*at;
}

const FieldShape* Shape::FindField(std::string_view proto_name) const {
  const auto at = std::find_if(fields.begin(), fields.end(),
                               [&](const FieldShape& f) { return f.field->name() == proto_name; });
  return at == fields.end() ? nullptr : &*at;
}

class ShapeCompiler {
 public:
  ShapeCompiler(Shapes& shapes, pb::MessageFactory* factory, std::vector<std::string>& faults)
      : shapes_(shapes), factory_(factory), faults_(faults) {}

  const Shape* Compile(const pb::Descriptor* type);
  void CheckNames();

 private:
  FieldShape CompileField(const pb::FieldDescriptor* field);
  const EnumShape* CompileEnum(const pb::EnumDescriptor* type);
  void CompileTag(const pb::OneofDescriptor* oneof, Shape& shape);
  void CollectNames(const Shape& shape, const std::string& where, int depth, std::set<std::string>& names);
  void Fault(std::string_view where, std::string_view what) { faults_.push_back(StrCat(where, ": ", what)); }

  Shapes& shapes_;
  pb::MessageFactory* const factory_;
  std::vector<std::string>& faults_;
};

const Shape* ShapeCompiler::Compile(const pb::Descriptor* type) {
  std::unique_ptr<Shape>& slot = shapes_.shapes_[type];
  if (slot) return slot.get();
  slot = std::make_unique<Shape>();
  Shape& shape = *slot;  // stays valid when the map grows
  shape.descriptor = type;
  shape.prototype = factory_->GetPrototype(type);
  shape.reflection = shape.prototype->GetReflection();
  const Kind kind = MessageKind(type);
  if (kind != Kind::kMessage && kind != Kind::kWrapper)
    return &shape;  // the codecs know these types by heart
  shape.fields.reserve(
      static_cast<std::size_t>(type->field_count()));  // so that pointers to fields stay valid
  for (int i = 0; i < type->field_count(); ++i) shape.fields.push_back(CompileField(type->field(i)));
  for (int i = 0; i < type->real_oneof_decl_count(); ++i) CompileTag(type->oneof_decl(i), shape);
  std::set<const pb::OneofDescriptor*> written;
  for (const FieldShape& field : shape.fields) {
    const pb::OneofDescriptor* oneof = field.field->real_containing_oneof();
    const auto tag = std::find_if(shape.tags.begin(), shape.tags.end(),
                                  [&](const TagShape& t) { return oneof && t.oneof == oneof; });
    if (tag != shape.tags.end()) {
      if (written.insert(oneof).second) shape.steps.push_back({.tag = &*tag});
      continue;
    }
    if (field.outside_body) continue;
    shape.steps.push_back({.field = &field});
    if (!field.flatten) shape.by_name.emplace(field.name, &field);
  }
  return &shape;
}

FieldShape ShapeCompiler::CompileField(const pb::FieldDescriptor* field) {
  const api::v1::Field& options = field->options().GetExtension(api::v1::field);
  FieldShape shape;
  shape.field = field;
  shape.name = options.name().empty() ? field->name() : options.name();
  shape.prefix = StrCat(JsonString(shape.name), ':');
  shape.kind = KindOf(field);
  shape.has_presence = field->has_presence();
  shape.nullable = options.nullable();
  shape.omit_empty = options.omit_empty();
  shape.flatten = options.flatten();
  shape.header = options.header();
  shape.query = options.query();
  shape.response_header = options.response_header();
  shape.outside_body = !shape.header.empty() || !shape.query.empty() || !shape.response_header.empty();
  shape.bounds = BoundsOf(options);

  const pb::FieldDescriptor* value = field;
  if (field->is_map()) {
    shape.repeat = Repeat::kMap;
    shape.map_key = field->message_type()->map_key();
    shape.map_value = value = field->message_type()->map_value();
    shape.key_kind = KindOf(shape.map_key);
    shape.kind = KindOf(value);
  } else if (field->is_repeated()) {
    shape.repeat = Repeat::kList;
  }
  if (value->message_type() != nullptr) shape.message = Compile(value->message_type());
  if (shape.kind == Kind::kEnum) shape.words = CompileEnum(value->enum_type());
  if (shape.flatten && (shape.kind != Kind::kMessage || shape.repeat != Repeat::kOne)) {
    Fault(field->full_name(), "only a single message can be flattened");
  }
  if (shape.nullable && !shape.has_presence) Fault(field->full_name(), "nullable, but it has no presence");
  if (!shape.bounds.required) return shape;
  if (!shape.response_header.empty()) Fault(field->full_name(), "a response header cannot be required");
  return shape;
}

const EnumShape* ShapeCompiler::CompileEnum(const pb::EnumDescriptor* type) {
  std::unique_ptr<EnumShape>& slot = shapes_.enums_[type];
  if (slot) return slot.get();
  slot = std::make_unique<EnumShape>();
  slot->descriptor = type;
  slot->words.reserve(static_cast<std::size_t>(type->value_count()));  // `numbers` holds views of them
  const std::string prefix = EnumPrefix(type->name());
  for (int i = 0; i < type->value_count(); ++i) {
    const pb::EnumValueDescriptor* value = type->value(i);
    std::string word = value->options().GetExtension(api::v1::json);
    if (word.empty()) {
      if (!value->name().starts_with(prefix) || value->name().size() == prefix.size()) {
        Fault(value->full_name(), StrCat("has no word: neither the prefix ", prefix, " nor the option json"));
        continue;
      }
      word = ToLower(std::string_view(value->name()).substr(prefix.size()));
      if (value->number() == 0 && word == "unspecified") continue;
    }
    slot->words.push_back(std::move(word));
    if (!slot->numbers.emplace(slot->words.back(), value->number()).second) {
      Fault(value->full_name(), StrCat("the word \"", slot->words.back(), "\" is taken"));
    }
    constexpr int kDense = 256;
    if (value->number() < 0 || value->number() >= kDense) {
      slot->rare.emplace(value->number(), JsonString(slot->words.back()));
      continue;
    }
    const auto index = static_cast<std::size_t>(value->number());
    if (slot->by_number.size() <= index) slot->by_number.resize(index + 1);
    slot->by_number[index] = JsonString(slot->words.back());
  }
  return slot.get();
}

void ShapeCompiler::CompileTag(const pb::OneofDescriptor* oneof, Shape& shape) {
  const std::string& key = oneof->options().GetExtension(api::v1::tag);
  if (key.empty()) return;
  TagShape tag{.oneof = oneof, .key = key, .members = {}};
  for (int i = 0; i < oneof->field_count(); ++i) {
    const FieldShape* field = shape.FindField(oneof->field(i)->name());
    if (field->kind != Kind::kMessage) Fault(field->field->full_name(), "a tagged oneof holds messages only");
    if (field->outside_body || field->flatten) {
      Fault(field->field->full_name(),
            "a member of a tagged oneof can be neither flattened nor outside the body");
    }
    if (tag.Find(field->name) != nullptr) Fault(field->field->full_name(), "the tag's word is taken");
    tag.members.push_back({.field = field,
                           .word = field->name,
                           .prefix = StrCat(JsonString(key), ':', JsonString(field->name))});
  }
  shape.tags.push_back(std::move(tag));
}

void ShapeCompiler::CollectNames(const Shape& shape, const std::string& where, int depth,
                                 std::set<std::string>& names) {
  if (depth > 8) return Fault(where, "flattened too deeply, or into itself");
  const auto add = [&](const std::string& name) {
    if (!names.insert(name).second) Fault(where, StrCat("two fields have the JSON name \"", name, "\""));
  };
  for (const Step& step : shape.steps) {
    if (step.tag != nullptr) {
      add(step.tag->key);
      for (const TagShape::Member& member : step.tag->members) {
        if (member.field->kind != Kind::kMessage) continue;
        std::set<std::string> with_member = names;  // members may share names with each other
        CollectNames(*member.field->message, where, depth + 1, with_member);
      }
    } else if (step.field->flatten) {
      if (step.field->kind == Kind::kMessage) CollectNames(*step.field->message, where, depth + 1, names);
    } else {
      add(step.field->name);
    }
  }
}

void ShapeCompiler::CheckNames() {
  std::vector<const Shape*> all;
  for (const auto& [type, shape] : shapes_.shapes_) all.push_back(shape.get());
  std::sort(all.begin(), all.end(), [](const Shape* a, const Shape* b) {
    return a->descriptor->full_name() < b->descriptor->full_name();
  });
  for (const Shape* shape : all) {
    std::set<std::string> names;
    CollectNames(*shape, shape->descriptor->full_name(), 0, names);
  }
}

Shapes::Shapes() = default;
Shapes::~Shapes() = default;

std::unique_ptr<const Shapes> Shapes::Compile(const std::vector<const pb::Descriptor*>& types,
                                              pb::MessageFactory* factory, std::vector<std::string>& faults) {
  std::unique_ptr<Shapes> shapes(new Shapes());
  ShapeCompiler compiler(*shapes, factory, faults);
  for (const pb::Descriptor* type : types) compiler.Compile(type);
  compiler.CheckNames();
  return shapes;
}

absl::StatusOr<std::unique_ptr<const Shapes>> Shapes::Build(const std::vector<const pb::Descriptor*>& types,
                                                            pb::MessageFactory* factory) {
  std::vector<std::string> faults;
  std::unique_ptr<const Shapes> shapes = Compile(types, factory, faults);
  if (!faults.empty()) return InvalidArgument(Reason::kInvalidArgument, "proto options", Join(faults, "\n"));
  return shapes;
}

const Shape* Shapes::Find(const pb::Descriptor* type) const {
  const auto at = shapes_.find(type);
  return at == shapes_.end() ? nullptr : at->second.get();
}

}  // namespace fabro::json
