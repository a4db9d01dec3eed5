// JSON to message, by its shape. Unknown members are ignored, null is unset; a wrong type or an unknown enum
// word is a fault. Faults are collected (up to kMaxFaults) as FieldViolations whose field is the path,
// "messages[2].content", and whose description is a whole sentence that names the field, fit to be an error's
// detail as it is.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/error.h"
#include "gateway/json/reader.h"
#include "gateway/json/shape.h"

namespace fabro::json {

inline constexpr std::size_t kMaxFaults = 20;

// Appends to `faults`; ok() of a decode is that nothing was appended.
using Faults = std::vector<FieldViolation>;

// One InvalidArgument of all faults (reason kInvalidArgument, message: the first description), or Ok when
// there is none.
absl::Status ToStatus(Faults faults);

// Parses and decodes in one call; for tests and small tools.
absl::Status Decode(const Shape& shape, std::string_view text, google::protobuf::Message* message);

// Decodes a document's value into a message. `path` is what field paths begin with, empty for a whole body.
// Fields in `skip` are not read from the top level (they are bound to the path).
void DecodeMessage(const Shape& shape, Node value, std::string_view path, google::protobuf::Message* message,
                   Faults& faults, std::span<const FieldShape* const> skip = {});

// Decodes a document's value into one field of a message.
void DecodeField(const FieldShape& field, Node value, std::string_view path,
                 google::protobuf::Message* message, Faults& faults);

// Sets a scalar field, or adds to a list of scalars, from bare text: path variables, query parameters,
// headers. `name` is what the fault calls it.
void DecodeText(const FieldShape& field, std::string_view text, std::string_view name,
                google::protobuf::Message* message, Faults& faults);

}  // namespace fabro::json
