#include "core/rpc/method_policy.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include "fabro/api/v1/annotations.pb.h"
#include "fabro/v1/audit.pb.h"
#include "fabro/v1/completion.pb.h"
#include "fabro/v1/discovery.pb.h"
#include "fabro/v1/question.pb.h"
#include "fabro/v1/run.pb.h"
#include "proto/api.h"

namespace fabro::rpc {
namespace {

using security::Role;

TEST(MethodPolicy, EveryMethodSaysWhoMayCallIt) {
  std::map<const google::protobuf::Descriptor*, int> roles;
  int methods = 0;
  for (const auto* service : api::Services()) {
    for (int i = 0; i < service->method_count(); ++i, ++methods) {
      const auto& method = *service->method(i);
      const api::v1::Route& route = method.options().GetExtension(api::v1::route);
      EXPECT_NE(route.open(), route.role() != api::v1::ROLE_UNSPECIFIED) << method.full_name();
      // The guard knows a method by its request.
      const auto [other, is_new] = roles.emplace(method.input_type(), route.role());
      EXPECT_TRUE(is_new || other->second == route.role()) << method.full_name();
    }
  }
  EXPECT_GT(methods, 60);
}

TEST(MethodPolicy, FollowsTheOptions) {
  EXPECT_EQ(PolicyOf(v1::GetHealthRequest()).role, Role::kNone);
  EXPECT_EQ(PolicyOf(v1::ListRunsRequest()).role, Role::kViewer);
  EXPECT_EQ(PolicyOf(v1::StartRunRequest()).role, Role::kOperator);
  EXPECT_EQ(PolicyOf(v1::CreateCompletionRequest()).role, Role::kOperator);
  EXPECT_EQ(PolicyOf(v1::DeleteRunRequest()).role, Role::kAdmin);
  EXPECT_EQ(PolicyOf(v1::ListAuditEntriesRequest()).role, Role::kAdmin);
  EXPECT_EQ(PolicyOf(v1::StartRunRequest()).service, "RunService");
}

TEST(MethodPolicy, NamesWhatARequestIsAbout) {
  v1::CancelRunRequest cancel;
  cancel.set_id("01KAT");
  EXPECT_EQ(PolicyOf(cancel).ResourceOf(cancel), "runs/01KAT");
  v1::SubmitAnswerRequest answer;
  answer.set_id("01KAT");
  answer.set_qid("q1");
  EXPECT_EQ(PolicyOf(answer).ResourceOf(answer), "runs/01KAT");
  cancel.set_id(std::string(5000, 'x'));
  EXPECT_EQ(PolicyOf(cancel).ResourceOf(cancel).size(), 205U);
  const v1::ListRunsRequest list;
  EXPECT_EQ(PolicyOf(list).ResourceOf(list), "");
}

}  // namespace
}  // namespace fabro::rpc
