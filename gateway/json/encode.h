// Message to JSON text, by its shape. Thread-safe; allocates nothing but what `out` needs to grow.
#pragma once

#include <string>
#include <string_view>

#include "gateway/json/shape.h"

namespace fabro::json {

// Appends the message as one JSON value, without white space.
void Encode(const Shape& shape, const google::protobuf::Message& message, std::string& out);

// Appends one field's value alone, as google.api.http's response_body wants it: null for an unset field with
// presence.
void EncodeField(const FieldShape& field, const google::protobuf::Message& message, std::string& out);

// For server-sent events with names: appends the set member of the message's tagged oneof as an object of its
// own and returns its word. Empty, and nothing appended, when none is set or the message has no tagged oneof.
std::string_view EncodeMember(const Shape& shape, const google::protobuf::Message& message, std::string& out);

// Appends a scalar field (no list, map or object) as bare text, without quotes: for headers and frame ids.
// Nothing is appended for an unset field with presence.
void AppendText(const FieldShape& field, const google::protobuf::Message& message, std::string& out);

}  // namespace fabro::json
