#include "gateway/transcode/status_map.h"

#include <gtest/gtest.h>

#include "core/base/strings.h"

namespace fabro::transcode {
namespace {

using Code = absl::StatusCode;
using namespace std::chrono_literals;

std::string HeaderOf(const http::Response& response, std::string_view name) {
  for (const http::Header& header : response.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

TEST(StatusMap, IsTheDocumentedTable) {
  const struct {
    Code code;
    Reason reason;
    int status;
    const char* title;
  } kTable[] = {
      {Code::kInvalidArgument, Reason::kInvalidArgument, 400, "Bad Request"},
      {Code::kOutOfRange, Reason::kUnspecified, 400, "Bad Request"},
      {Code::kUnauthenticated, Reason::kUnauthenticated, 401, "Unauthorized"},
      {Code::kPermissionDenied, Reason::kForbidden, 403, "Forbidden"},
      {Code::kNotFound, Reason::kRunNotFound, 404, "Not Found"},
      {Code::kFailedPrecondition, Reason::kRunTerminal, 409, "Conflict"},
      {Code::kFailedPrecondition, Reason::kStreamClosed, 410, "Gone"},
      {Code::kAborted, Reason::kStaleHead, 409, "Conflict"},
      {Code::kAlreadyExists, Reason::kIdempotencyReuse, 409, "Conflict"},
      {Code::kResourceExhausted, Reason::kLimit, 429, "Too Many Requests"},
      {Code::kInternal, Reason::kInternal, 500, "Internal Server Error"},
      {Code::kUnknown, Reason::kUnspecified, 500, "Internal Server Error"},
      {Code::kDataLoss, Reason::kUnspecified, 500, "Internal Server Error"},
      {Code::kUnimplemented, Reason::kUnimplemented, 501, "Not Implemented"},
      {Code::kUnavailable, Reason::kUpstream, 502, "Bad Gateway"},
      {Code::kUnavailable, Reason::kDraining, 503, "Service Unavailable"},
      {Code::kUnavailable, Reason::kUnspecified, 503, "Service Unavailable"},
      {Code::kCancelled, Reason::kUnspecified, 503, "Service Unavailable"},
      {Code::kDeadlineExceeded, Reason::kUnspecified, 504, "Gateway Timeout"},
  };
  for (const auto& row : kTable) {
    const http::Response response = ToResponse(Error(row.code, row.reason, "", "A text."), "r1");
    EXPECT_EQ(response.status, row.status);
    EXPECT_TRUE(response.body.starts_with(
        StrCat(R"({"errors":[{"status":")", row.status, R"(","title":")", row.title, R"(","detail":")")))
        << response.body;
    EXPECT_EQ(HeaderOf(response, "Content-Type"), "application/json");
    EXPECT_EQ(HeaderOf(response, "Retry-After").empty(), row.status != 429 && row.status != 503)
        << row.status;
    EXPECT_EQ(HeaderOf(response, "WWW-Authenticate"), row.status == 401 ? "Bearer" : "");
  }
}

TEST(StatusMap, PassesTheCoresSentenceOn) {
  EXPECT_EQ(ToResponse(NotFound(Reason::kRunNotFound, "x", "Run \"x\" not found."), "r1").body,
            R"({"errors":[{"status":"404","title":"Not Found","detail":"Run \"x\" not found."}]})");
}

TEST(StatusMap, TellsNothingOfOurOwnFaults) {
  const http::Response response = ToResponse(Internal("password is hunter2"), "r-17");
  EXPECT_EQ(response.body.find("hunter2"), std::string::npos);
  EXPECT_NE(response.body.find("r-17"), std::string::npos);
  EXPECT_EQ(ToResponse(absl::UnavailableError("ipv4:10.0.0.1:50051 refused"), "r").body.find("10.0.0.1"),
            std::string::npos);
}

TEST(StatusMap, HasOneEntryForEachWrongField) {
  ErrorDetail detail;
  detail.reason = Reason::kInvalidArgument;
  detail.fields = {{"goal", "must have at most 5 characters"},
                   {"priority", "The field priority must be a number."}};
  EXPECT_EQ(
      ToResponse(Error(Code::kInvalidArgument, detail, "both"), "r").body,
      R"({"errors":[{"status":"400","title":"Bad Request","detail":"goal must have at most 5 characters"},)"
      R"({"status":"400","title":"Bad Request","detail":"The field priority must be a number."}]})");
}

TEST(StatusMap, RoundsTheRetryUp) {
  ErrorDetail detail;
  detail.reason = Reason::kLimit;
  detail.retry_after = 2001ms;
  EXPECT_EQ(HeaderOf(ToResponse(Error(Code::kResourceExhausted, detail, "slow down"), "r"), "Retry-After"),
            "3");
}

}  // namespace
}  // namespace fabro::transcode
