#include "core/base/error.h"

#include <gtest/gtest.h>

namespace fabro {
namespace {

TEST(Error, CarriesItsDetail) {
  ErrorDetail detail;
  detail.reason = Reason::kLimit;
  detail.subject = "run:a;b\n";
  detail.retry_after = std::chrono::milliseconds(1500);
  detail.fields.push_back({"settings.llm", "must be an object"});
  const absl::Status status = Error(absl::StatusCode::kResourceExhausted, detail, "too many");
  const auto read = DetailOf(status);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->reason, Reason::kLimit);
  EXPECT_EQ(read->subject, "run:a;b\n");
  EXPECT_EQ(read->retry_after, std::chrono::milliseconds(1500));
  ASSERT_EQ(read->fields.size(), 1u);
  EXPECT_EQ(read->fields[0].field, "settings.llm");
  EXPECT_EQ(read->fields[0].description, "must be an object");
}

TEST(Error, AnnotateKeepsCodeAndDetail) {
  const absl::Status status =
      Annotate(NotFound(Reason::kRunNotFound, "x", "Run x not found."), "loading checkpoint");
  EXPECT_EQ(MessageOf(status), "loading checkpoint: Run x not found.");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(status), Reason::kRunNotFound);
  EXPECT_TRUE(Annotate(absl::OkStatus(), "anything").ok());
}

TEST(Error, EveryReasonHasATextOfItsOwn) {
  for (int i = 0; i <= static_cast<int>(Reason::kInternal); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(ParseReason(ToString(reason)), reason) << i;
  }
  EXPECT_FALSE(ParseReason("NONSENSE").has_value());
}

TEST(Error, AFullDiskIsAStorageFailureThatMayPass) {
  const absl::Status status = ErrnoError(ENOSPC, "writing the log");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), Reason::kStorageFailed);
}

}  // namespace
}  // namespace fabro
