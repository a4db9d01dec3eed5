#include "gateway/upstream/status.h"

#include <grpcpp/support/status.h>

#include <chrono>
#include <string>

#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace fabro::upstream {
namespace {

constexpr char kDomain[] = "fabro";

ErrorDetail ReadDetail(const google::rpc::Status& status) {
  ErrorDetail detail;
  for (const google::protobuf::Any& any : status.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&info)) {
      if (info.domain() != kDomain) continue;
      detail.reason = ParseReason(info.reason()).value_or(Reason::kUnspecified);
      const auto subject = info.metadata().find("subject");
      if (subject != info.metadata().end()) detail.subject = subject->second;
    } else if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        detail.fields.push_back({violation.field(), violation.description()});
      }
    } else if (any.UnpackTo(&retry)) {
      const auto delay = std::chrono::seconds(retry.retry_delay().seconds()) +
                         std::chrono::nanoseconds(retry.retry_delay().nanos());
      detail.retry_after = std::chrono::duration_cast<std::chrono::milliseconds>(delay);
    }
  }
  return detail;
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    return Error(code, ReadDetail(details), status.error_message());
  }
  return Error(code, Reason::kUnspecified, "", status.error_message());
}

}  // namespace fabro::upstream
