#include "core/stages/directive.h"

#include <gtest/gtest.h>

namespace fabro::stages {
namespace {

using engine::Outcome;
using engine::OutcomeStatus;

TEST(Directive, TheLastObjectLineCounts) {
  Outcome outcome;
  ApplyDirective(
      "{\"preferred_next_label\":\"old\"}\nnoise\n "
      "{\"preferred_next_label\":\"ship\",\"suggested_next_ids\":[\"a\",7],"
      "\"context_updates\":{\"n\":3,\"t\":\"x\"}} \nmore noise {not json}\n{\"other\":1}\n",
      &outcome);
  EXPECT_EQ(outcome.status, OutcomeStatus::kSuccess);
  EXPECT_EQ(outcome.preferred_label, "ship");
  EXPECT_EQ(outcome.suggested_next_ids, std::vector<std::string>{"a"});
  EXPECT_EQ(outcome.context_updates["n"], "3");
  EXPECT_EQ(outcome.context_updates["t"], "\"x\"");
}

TEST(Directive, LowersASuccessWithItsReason) {
  Outcome outcome;
  ApplyDirective("{\"outcome\":\"fail\",\"failure_reason\":\"two tests failed\"}", &outcome);
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  EXPECT_EQ(outcome.failure->message, "two tests failed");
}

TEST(Directive, NeverRaisesAFailure) {
  Outcome outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = engine::Failure{"exit code 1", engine::FailureClass::kDeterministic};
  ApplyDirective("{\"outcome\":\"success\",\"preferred_next_label\":\"fix\"}", &outcome);
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  EXPECT_EQ(outcome.failure->message, "exit code 1");
  EXPECT_EQ(outcome.preferred_label, "fix");
}

TEST(Directive, NonsenseChangesNothing) {
  for (const char* text : {"", "{", "{}", "[1]", "{\"outcome\":7}", "{\"outcome\":\"great\"}",
                           "{\"suggested_next_ids\":\"x\"}", "{\"context_updates\":[]}"}) {
    Outcome outcome;
    ApplyDirective(text, &outcome);
    EXPECT_EQ(outcome.status, OutcomeStatus::kSuccess) << text;
    EXPECT_TRUE(outcome.context_updates.empty()) << text;
    EXPECT_TRUE(outcome.suggested_next_ids.empty()) << text;
  }
}

}  // namespace
}  // namespace fabro::stages
