#include "core/base/error.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "absl/strings/cord.h"

namespace fabro {
namespace {

constexpr char kPayloadUrl[] = "type.fabro/ErrorDetail";

constexpr std::array<std::pair<Reason, std::string_view>, 27> kReasons{{
    {Reason::kUnspecified, "UNSPECIFIED"},
    {Reason::kInvalidArgument, "INVALID_ARGUMENT"},
    {Reason::kRunNotFound, "RUN_NOT_FOUND"},
    {Reason::kNotFound, "NOT_FOUND"},
    {Reason::kRunTerminal, "RUN_TERMINAL"},
    {Reason::kRunNotCancellable, "RUN_NOT_CANCELLABLE"},
    {Reason::kRunNotPausable, "RUN_NOT_PAUSABLE"},
    {Reason::kRunNotPaused, "RUN_NOT_PAUSED"},
    {Reason::kRunNotRunning, "RUN_NOT_RUNNING"},
    {Reason::kRunActive, "RUN_ACTIVE"},
    {Reason::kQuestionGone, "QUESTION_GONE"},
    {Reason::kOptionInvalid, "OPTION_INVALID"},
    {Reason::kGraphInvalid, "GRAPH_INVALID"},
    {Reason::kStreamClosed, "GONE"},
    {Reason::kIdempotencyReuse, "IDEMPOTENCY_REUSE"},
    {Reason::kStaleHead, "STALE_HEAD"},
    {Reason::kLeaseLost, "LEASE_LOST"},
    {Reason::kOutcomeUnknown, "OUTCOME_UNKNOWN"},
    {Reason::kStorageBusy, "STORAGE_BUSY"},
    {Reason::kStorageFailed, "STORAGE_FAILED"},
    {Reason::kUpstream, "UPSTREAM"},
    {Reason::kDraining, "DRAINING"},
    {Reason::kLimit, "LIMIT"},
    {Reason::kUnauthenticated, "UNAUTHENTICATED"},
    {Reason::kForbidden, "FORBIDDEN"},
    {Reason::kUnimplemented, "UNIMPLEMENTED"},
    {Reason::kInternal, "INTERNAL"},
}};

// The payload is a list of length-prefixed strings: it never leaves the process (rpc/status.cc translates
// it).
void Append(std::string& out, std::string_view part) {
  out += std::to_string(part.size());
  out += ':';
  out += part;
}

std::optional<std::string> Take(std::string_view& in) {
  std::size_t size = 0;
  auto [end, error] = std::from_chars(in.data(), in.data() + in.size(), size);
  const std::size_t digits = static_cast<std::size_t>(end - in.data());
  if (error != std::errc() || digits >= in.size() || in.size() - digits - 1 < size) return std::nullopt;
  std::string part(in.substr(digits + 1, size));
  in.remove_prefix(digits + 1 + size);
  return part;
}

std::string Encode(const ErrorDetail& detail) {
  std::string out;
  Append(out, ToString(detail.reason));
  Append(out, detail.subject);
  Append(out, detail.retry_after ? std::to_string(detail.retry_after->count()) : "");
  for (const FieldViolation& violation : detail.fields) {
    Append(out, violation.field);
    Append(out, violation.description);
  }
  return out;
}

absl::Status Make(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, absl::string_view(message.data(), message.size()));
}

}  // namespace

std::string_view ToString(Reason reason) {
  for (const auto& [value, text] : kReasons) {
    if (value == reason) return text;
  }
  return "UNSPECIFIED";
}

std::optional<Reason> ParseReason(std::string_view text) {
  for (const auto& [value, known] : kReasons) {
    if (known == text) return value;
  }
  return std::nullopt;
}

absl::Status Error(absl::StatusCode code, const ErrorDetail& detail, std::string_view message) {
  absl::Status status = Make(code, message);
  const std::string bytes = Encode(detail);
  status.SetPayload(kPayloadUrl, absl::Cord(absl::string_view(bytes)));
  return status;
}

absl::Status Error(absl::StatusCode code, Reason reason, std::string_view subject, std::string_view message) {
  ErrorDetail detail;
  detail.reason = reason;
  detail.subject = subject;
  return Error(code, detail, message);
}

absl::Status InvalidArgument(Reason reason, std::string_view subject, std::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, reason, subject, message);
}
absl::Status NotFound(Reason reason, std::string_view subject, std::string_view message) {
  return Error(absl::StatusCode::kNotFound, reason, subject, message);
}
absl::Status FailedPrecondition(Reason reason, std::string_view subject, std::string_view message) {
  return Error(absl::StatusCode::kFailedPrecondition, reason, subject, message);
}
absl::Status Unavailable(Reason reason, std::string_view subject, std::string_view message) {
  return Error(absl::StatusCode::kUnavailable, reason, subject, message);
}
absl::Status Internal(std::string_view message) {
  return Error(absl::StatusCode::kInternal, Reason::kInternal, "", message);
}
absl::Status Cancelled(std::string_view message) { return Make(absl::StatusCode::kCancelled, message); }

std::optional<ErrorDetail> DetailOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) return std::nullopt;
  const std::string bytes(*payload);
  std::string_view in = bytes;
  ErrorDetail detail;
  const auto reason = Take(in);
  auto subject = Take(in);
  const auto retry_after = Take(in);
  if (!reason || !subject || !retry_after) return std::nullopt;
  detail.reason = ParseReason(*reason).value_or(Reason::kUnspecified);
  detail.subject = std::move(*subject);
  if (!retry_after->empty()) detail.retry_after = std::chrono::milliseconds(std::atoll(retry_after->c_str()));
  while (!in.empty()) {
    auto field = Take(in);
    auto description = Take(in);
    if (!field || !description) break;
    detail.fields.push_back({std::move(*field), std::move(*description)});
  }
  return detail;
}

Reason ReasonOf(const absl::Status& status) {
  const auto detail = DetailOf(status);
  return detail ? detail->reason : Reason::kUnspecified;
}

absl::Status Annotate(const absl::Status& status, std::string_view doing) {
  if (status.ok()) return status;
  absl::Status annotated = Make(status.code(), std::string(doing) + ": " + MessageOf(status));
  if (const auto payload = status.GetPayload(kPayloadUrl)) annotated.SetPayload(kPayloadUrl, *payload);
  return annotated;
}

std::string MessageOf(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

std::string Describe(const absl::Status& status) {
  return status.ToString(absl::StatusToStringMode::kWithNoExtraData);
}

absl::Status ErrnoError(int error_number, std::string_view doing) {
  absl::StatusCode code = absl::ErrnoToStatusCode(error_number);
  Reason reason = Reason::kInternal;
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == EROFS || error_number == EIO) {
    code = absl::StatusCode::kUnavailable;
    reason = Reason::kStorageFailed;
  }
  return Error(code, reason, "", std::string(doing) + ": " + std::generic_category().message(error_number));
}

namespace internal {
void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
  std::abort();
}
}  // namespace internal

}  // namespace fabro
