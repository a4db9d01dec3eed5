// JSON Schemas of messages and enums, by their shapes. The schemas that are named join `components`.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/json/shape.h"
#include "gateway/openapi/comments.h"
#include "gateway/openapi/value.h"

namespace fabro::openapi {

class Schemas {
 public:
  explicit Schemas(const Comments& comments) : comments_(comments) {}

  // First every body is announced: what a schema requires depends on all its uses.
  void UseAsRequest(const json::Shape& shape, const std::vector<const json::FieldShape*>& not_in_body);
  void UseAsRequest(const json::FieldShape& field);
  void UseAsResponse(const json::Shape& shape);
  void UseAsResponse(const json::FieldShape& field);
  // The members of the message's tagged oneof, each alone: the data of named frames.
  void UseMembers(const json::Shape& shape);

  // Then schemas are asked for.
  Value Reference(const json::Shape& shape) const;
  // The field's value with its bounds, and its comment unless `bare`.
  Value Field(const json::FieldShape& field, bool bare = false) const;
  // Every named schema, in alphabetical order.
  Value Components() const;

  static std::string NameOf(const json::Shape& shape);

 private:
  using TagUse = std::pair<std::string, std::string>;  // key and word; both empty where it stands for itself
  struct Use {
    const json::Shape* shape = nullptr;
    bool in_request = false;
    bool in_response = false;
    std::set<std::string> not_in_body;
    std::set<TagUse> tags;
  };

  void Visit(const json::Shape& shape, bool request, const TagUse& tag);
  void VisitField(const json::FieldShape& field, bool request);
  bool HoldsItsTag(const json::Shape& shape) const;
  bool IsRequired(const json::FieldShape& field, const Use& use) const;
  Value Message(const json::Shape& shape) const;
  void AddProperties(const json::Shape& shape, const Use& use, Value& properties, Value& required) const;
  Value Choice(const json::Shape& shape, const json::TagShape& tag) const;
  std::string VariantName(const json::Shape& shape, const json::TagShape& tag,
                          const json::TagShape::Member& member) const;
  Value Single(const json::FieldShape& field) const;
  Value Enum(const json::EnumShape& words) const;

  const Comments& comments_;
  std::map<std::string, Use> uses_;                      // by schema name
  std::map<std::string, const json::EnumShape*> enums_;  // by schema name
};

}  // namespace fabro::openapi
