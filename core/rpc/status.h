// The one translation from our errors to gRPC's.
#pragma once

#include "absl/status/status.h"

namespace grpc {
class Status;
}

namespace fabro::rpc {

// Code and message go over; the detail becomes google.rpc.ErrorInfo (domain "fabro", reason in UPPER_SNAKE,
// the subject as metadata), google.rpc.BadRequest for fields and google.rpc.RetryInfo, packed into
// grpc-status-details-bin.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace fabro::rpc
