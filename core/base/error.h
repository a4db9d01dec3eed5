// One error type for the whole program: absl::Status with a typed payload. The canonical code tells a caller
// how to react, the Reason tells what happened, and the message is for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fabro {

// What happened. The text form (ToString) is the `reason` of google.rpc.ErrorInfo on the wire, so words only
// join.
enum class Reason : std::uint8_t {
  kUnspecified,
  kInvalidArgument,  // a request's field or parameter is out of its bounds
  kRunNotFound,
  kNotFound,     // some other resource; the subject says which
  kRunTerminal,  // the run has ended
  kRunNotCancellable,
  kRunNotPausable,
  kRunNotPaused,
  kRunNotRunning,  // queued or starting
  kRunActive,      // must be terminal first
  kQuestionGone,   // unknown or already answered
  kOptionInvalid,
  kGraphInvalid,      // the workflow source has errors
  kStreamClosed,      // GONE on the wire: the run's event stream has ended
  kIdempotencyReuse,  // same key, other request
  kStaleHead,         // someone else appended to the run
  kLeaseLost,
  kOutcomeUnknown,  // the commit may or may not have happened
  kStorageBusy,     // another server holds the storage directory
  kStorageFailed,   // disk full, I/O error
  kUpstream,        // a program or service behind us failed (502)
  kDraining,        // shutting down
  kLimit,           // a limit was reached
  kUnauthenticated,
  kForbidden,
  kUnimplemented,
  kInternal,
};
std::string_view ToString(Reason reason);                  // "RUN_NOT_FOUND"
std::optional<Reason> ParseReason(std::string_view text);  // the inverse

// One field that is wrong, for answers that name several.
struct FieldViolation {
  std::string field;        // path, as in "settings.llm.model"; may be empty
  std::string description;  // a sentence
};

// What a program may act on.
struct ErrorDetail {
  Reason reason = Reason::kUnspecified;
  std::string subject;  // the run, stage or file concerned
  std::optional<std::chrono::milliseconds> retry_after;
  std::vector<FieldViolation> fields;
};

absl::Status Error(absl::StatusCode code, Reason reason, std::string_view subject, std::string_view message);
absl::Status Error(absl::StatusCode code, const ErrorDetail& detail, std::string_view message);

// Shorthands for the codes that are used most.
absl::Status InvalidArgument(Reason reason, std::string_view subject, std::string_view message);
absl::Status NotFound(Reason reason, std::string_view subject, std::string_view message);
absl::Status FailedPrecondition(Reason reason, std::string_view subject, std::string_view message);
absl::Status Unavailable(Reason reason, std::string_view subject, std::string_view message);
absl::Status Internal(std::string_view message);
absl::Status Cancelled(std::string_view message);

// The detail that Error() attached; nothing for a status made without one.
std::optional<ErrorDetail> DetailOf(const absl::Status& status);
Reason ReasonOf(const absl::Status& status);  // kUnspecified without a detail

// "loading checkpoint: <message>"; code and detail stay.
absl::Status Annotate(const absl::Status& status, std::string_view doing);

// The message as a std::string (Abseil's own string_view is another type here).
std::string MessageOf(const absl::Status& status);
// "NOT_FOUND: Run x not found." for logs.
std::string Describe(const absl::Status& status);

// An errno as "opening /x: No such file or directory".
absl::Status ErrnoError(int error_number, std::string_view doing);

}  // namespace fabro

// A broken invariant: prints the condition and the place, then aborts.
#define FABRO_CHECK(condition) \
  ((condition) ? (void)0 : ::fabro::internal::CheckFailed(#condition, __FILE__, __LINE__))

namespace fabro::internal {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}
