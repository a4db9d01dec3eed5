#include "gateway/transcode/status_map.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/strings.h"

namespace fabro::transcode {
namespace {

std::string DetailText(int status, std::string_view message, std::string_view request_id, bool has_reason) {
  switch (status) {
    case 401:
      return message.empty() ? "Authentication required." : std::string(message);
    case 403:
      return message.empty() ? "Access denied." : std::string(message);
    case 500:
      return StrCat("Internal error; request id ", request_id, ".");
    case 501:
      return "Not implemented.";
    case 503:
      return has_reason ? std::string(message) : "The server cannot be reached at the moment.";
    case 504:
      return "The request took too long.";
    default:
      return message.empty() ? StrCat(http::ReasonPhrase(status), ".") : std::string(message);
  }
}

// A sentence that names the field.
std::string FieldText(const FieldViolation& violation) {
  if (violation.field.empty() || violation.description.find(violation.field) != std::string::npos) {
    return violation.description;
  }
  return StrCat(violation.field, " ", violation.description);
}

std::string RetryAfterSeconds(const ErrorDetail& detail) {
  const auto wait = detail.retry_after.value_or(std::chrono::seconds(1));
  return std::to_string(std::max<long long>(1, (wait.count() + 999) / 1000));
}

}  // namespace

int HttpStatusOf(absl::StatusCode code, Reason reason) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return reason == Reason::kStreamClosed ? 410 : 409;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return reason == Reason::kUpstream ? 502 : 503;
    case absl::StatusCode::kCancelled:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
    default:
      return 500;
  }
}

http::Response ToResponse(const absl::Status& status, std::string_view request_id) {
  const ErrorDetail detail = DetailOf(status).value_or(ErrorDetail());
  const int code = HttpStatusOf(status.code(), detail.reason);
  std::vector<std::string> details;
  if (code == 400) {
    for (const FieldViolation& violation : detail.fields) details.push_back(FieldText(violation));
  }
  if (details.empty()) {
    details.push_back(DetailText(code, MessageOf(status), request_id, detail.reason != Reason::kUnspecified));
  }
  http::Response response = http::ErrorResponse(code, details);
  if (code == 429 || code == 503) response.headers.push_back({"Retry-After", RetryAfterSeconds(detail)});
  if (code == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace fabro::transcode
