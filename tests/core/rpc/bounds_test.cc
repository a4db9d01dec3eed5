// What is checked before a handler sees a request, and what a refusal looks like on the wire.
#include "core/rpc/bounds.h"

#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/rpc/status.h"
#include "fabro/v1/run.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace fabro::rpc {
namespace {

std::vector<std::string> WrongFields(const google::protobuf::Message& message) {
  const absl::Status status = CheckBounds(message);
  std::vector<std::string> fields;
  if (status.ok()) return fields;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const auto detail = DetailOf(status);
  for (const FieldViolation& field : detail->fields) fields.push_back(field.field);
  return fields;
}

TEST(CheckBounds, TakesWhatIsWithinThem) {
  v1::StartRunRequest request;
  EXPECT_TRUE(WrongFields(request).empty());
  request.set_title(std::string(256, 'x'));
  request.set_priority(-100);
  EXPECT_TRUE(WrongFields(request).empty());
}

TEST(CheckBounds, NamesEachWrongField) {
  v1::StartRunRequest request;
  request.set_title(std::string(257, 'x'));
  request.set_priority(101);
  request.set_workflow("");
  EXPECT_EQ(WrongFields(request), (std::vector<std::string>{"workflow", "title", "priority"}));
}

TEST(CheckBounds, LooksIntoMessagesAndCountsMaps) {
  v1::StartRunRequest request;
  request.mutable_settings()->set_work_dir("");
  for (int i = 0; i <= 64; ++i) (*request.mutable_labels())["label" + std::to_string(i)] = "x";
  EXPECT_EQ(WrongFields(request), (std::vector<std::string>{"labels", "settings.work_dir"}));
}

TEST(CheckBounds, LeavesToClampWhatIsClamped) {
  v1::ListRunsRequest request;
  request.set_page_limit(5000);
  EXPECT_TRUE(WrongFields(request).empty());
  request.set_page_offset(-1);
  EXPECT_EQ(WrongFields(request), std::vector<std::string>{"page[offset]"});
}

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

TEST(ToGrpc, PacksReasonFieldsAndDelay) {
  ErrorDetail detail;
  detail.reason = Reason::kLimit;
  detail.subject = "queue";
  detail.retry_after = std::chrono::milliseconds(1500);
  detail.fields.push_back({"title", "is too long"});
  const grpc::Status status = ToGrpc(Error(absl::StatusCode::kResourceExhausted, detail, "Full."));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "Full.");
  const google::rpc::Status details = DetailsOf(status);
  ASSERT_EQ(details.details_size(), 3);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "LIMIT");
  EXPECT_EQ(info.domain(), "fabro");
  EXPECT_EQ(info.metadata().at("subject"), "queue");
  google::rpc::BadRequest bad;
  ASSERT_TRUE(details.details(1).UnpackTo(&bad));
  EXPECT_EQ(bad.field_violations(0).field(), "title");
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(2).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
}

TEST(ToGrpc, CutsWhatWouldNotFitIntoMetadata) {
  ErrorDetail detail;
  detail.reason = Reason::kGraphInvalid;
  for (int i = 0; i < 100; ++i) detail.fields.push_back({"f", std::string(1000, 'd')});
  const grpc::Status status =
      ToGrpc(Error(absl::StatusCode::kInvalidArgument, detail, std::string(1 << 20, 'm')));
  EXPECT_LT(status.error_message().size() + status.error_details().size(), 16U << 10);
}

}  // namespace
}  // namespace fabro::rpc
