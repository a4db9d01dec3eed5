// gRPC's status as ours.
#pragma once

#include "absl/status/status.h"

namespace grpc {
class Status;
}

namespace fabro::upstream {

// Reads google.rpc.ErrorInfo (of domain "fabro"), BadRequest and RetryInfo into an ErrorDetail.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace fabro::upstream
