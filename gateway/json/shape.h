// How a protobuf message looks as JSON: names, kinds, presence, bounds, as descriptors and the options of
// fabro/api/v1/annotations.proto say. Encoder, decoder, routes and the OpenAPI document all read shapes; none
// of them looks at an option itself, so what is sent and what is documented cannot differ.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Descriptor;
class DescriptorPool;
class EnumDescriptor;
class FieldDescriptor;
class Message;
class MessageFactory;
class OneofDescriptor;
class Reflection;
}  // namespace google::protobuf

namespace fabro::json {

// What a single value is in JSON.
enum class Kind : std::uint8_t {
  kBool,
  kInt32,
  kInt64,
  kUint32,
  kUint64,
  kFloat,
  kDouble,
  kString,
  kBytes,      // base64
  kEnum,       // a word
  kMessage,    // an object by the message's own shape
  kWrapper,    // google.protobuf.StringValue and its like: the value alone
  kTimestamp,  // RFC 3339, UTC with Z, milliseconds
  kDuration,   // "1.500s"
  kStruct,     // any object
  kValue,      // anything
  kListValue,  // any array
};
enum class Repeat : std::uint8_t { kOne, kList, kMap };

struct Shape;

// The words of an enum type. Unset (number 0 named ..._UNSPECIFIED) has the empty word, which is never
// written for a field with presence and never read.
struct EnumShape {
  const google::protobuf::EnumDescriptor* descriptor = nullptr;
  std::vector<std::string> words;                     // in declaration order, without the empty one
  std::vector<std::string> by_number;                 // quoted, for numbers 0 to size; empty: look in `rare`
  std::unordered_map<int, std::string> rare;          // quoted, numbers that are negative or large
  std::unordered_map<std::string_view, int> numbers;  // word to number; the views point into `words`
};

// What a field may hold. The core enforces these; they are here for the document.
struct Bounds {
  bool required = false;
  std::string pattern;
  std::uint32_t min_length = 0;  // 0: no bound
  std::uint32_t max_length = 0;
  std::optional<double> minimum;
  std::optional<double> maximum;
  bool clamp = false;  // a number out of bounds moves to the nearest bound
  std::string format;
  std::string example;  // JSON text
};

struct FieldShape {
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::string name;    // JSON name
  std::string prefix;  // `"name":`
  Kind kind = Kind::kString;
  Repeat repeat = Repeat::kOne;
  bool has_presence = false;  // left out when unset (null when nullable)
  bool nullable = false;      // written as null when unset
  bool omit_empty = false;    // left out when it holds the default
  bool flatten = false;       // the message's fields stand beside its siblings
  bool outside_body =
      false;  // comes from or goes to a header or the query: neither read from nor written to a body
  const EnumShape* words = nullptr;  // kEnum
  const Shape* message = nullptr;    // kMessage, kWrapper
  Kind key_kind = Kind::kString;     // kMap: the key; kind, words and message speak of the value
  const google::protobuf::FieldDescriptor* map_key = nullptr;
  const google::protobuf::FieldDescriptor* map_value = nullptr;
  std::string header;           // taken from this request header
  std::string query;            // taken from this query parameter
  std::string response_header;  // written to this response header
  Bounds bounds;
};

// A oneof that is written flat: `key` holds the member's name and the member's fields stand beside it.
struct TagShape {
  const google::protobuf::OneofDescriptor* oneof = nullptr;
  std::string key;
  struct Member {
    const FieldShape* field = nullptr;
    std::string word;
    std::string prefix;  // `"key":"word"`
  };
  std::vector<Member> members;  // at the index of the field in the oneof
  const Member* Find(std::string_view word) const;
};

// One step of writing a message.
struct Step {
  const FieldShape* field = nullptr;  // exactly one of the two is set
  const TagShape* tag = nullptr;
};

// A message type. Immutable, lives as long as its Shapes.
struct Shape {
  const google::protobuf::Descriptor* descriptor = nullptr;
  const google::protobuf::Reflection* reflection = nullptr;
  const google::protobuf::Message* prototype = nullptr;
  std::vector<FieldShape> fields;  // every field, in declaration order
  std::vector<TagShape> tags;
  std::vector<Step> steps;  // what a body holds, in the order it is written
  std::unordered_map<std::string_view, const FieldShape*>
      by_name;  // by JSON name; no members of tagged oneofs

  const FieldShape* FindField(std::string_view proto_name) const;
};

// The shapes of every message that the services of a pool use. Immutable after Build, so any thread may read
// it.
class Shapes {
 public:
  // Compiles the types and all that they reach. All faults of the options come back in one InvalidArgument,
  // one a line. The types' pool and the factory (of their prototypes) must outlive the result.
  static absl::StatusOr<std::unique_ptr<const Shapes>> Build(
      const std::vector<const google::protobuf::Descriptor*>& types,
      google::protobuf::MessageFactory* factory);

  // The same, with the faults apart, for those who have more of their own to tell.
  static std::unique_ptr<const Shapes> Compile(const std::vector<const google::protobuf::Descriptor*>& types,
                                               google::protobuf::MessageFactory* factory,
                                               std::vector<std::string>& faults);

  ~Shapes();
  Shapes(const Shapes&) = delete;
  Shapes& operator=(const Shapes&) = delete;

  // Null for a type that was not compiled.
  const Shape* Find(const google::protobuf::Descriptor* type) const;

 private:
  friend class ShapeCompiler;
  Shapes();
  std::unordered_map<const google::protobuf::Descriptor*, std::unique_ptr<Shape>> shapes_;
  std::unordered_map<const google::protobuf::EnumDescriptor*, std::unique_ptr<EnumShape>> enums_;
};

}  // namespace fabro::json
