// Enforces the bounds that proto field options declare.
#pragma once

#include "absl/status/status.h"

namespace google::protobuf {
class Message;
}

namespace fabro::rpc {

// OK, or InvalidArgument with one FieldViolation for each wrong field (up to 16), named by path. Numbers that
// an option says to clamp are left to whoever reads them. Costs nothing for a message whose type declares no
// bounds. Thread-safe.
absl::Status CheckBounds(const google::protobuf::Message& message);

}  // namespace fabro::rpc
