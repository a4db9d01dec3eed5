#include "core/rpc/status.h"

#include <grpcpp/support/status.h>

#include "core/base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace fabro::rpc {
namespace {

// gRPC carries at most 8 KiB of metadata by default; longer texts are cut where they begin to hurt.
constexpr std::size_t kMaxMessageBytes = 3000;
constexpr std::size_t kMaxFields = 16;

std::string Cut(std::string text) {
  if (text.size() <= kMaxMessageBytes) return text;
  std::size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + " [...]";
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message = Cut(MessageOf(status));
  const auto detail = DetailOf(status);
  if (!detail) return grpc::Status(code, message);

  google::rpc::Status details;
  details.set_code(static_cast<int>(code));
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(ToString(detail->reason)));
  info.set_domain("fabro");
  if (!detail->subject.empty()) (*info.mutable_metadata())["subject"] = Cut(detail->subject);
  details.add_details()->PackFrom(info);
  if (!detail->fields.empty()) {
    google::rpc::BadRequest bad;
    for (const FieldViolation& violation : detail->fields) {
      if (static_cast<std::size_t>(bad.field_violations_size()) == kMaxFields) break;
      auto* field = bad.add_field_violations();
      field->set_field(violation.field);
      field->set_description(violation.description.substr(0, 300));
    }
    details.add_details()->PackFrom(bad);
  }
  if (detail->retry_after) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(detail->retry_after->count() / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(detail->retry_after->count() % 1000 * 1'000'000));
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace fabro::rpc
