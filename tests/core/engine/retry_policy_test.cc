#include "core/engine/retry_policy.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace fabro::engine {
namespace {

using std::chrono::milliseconds;
using workflow::RetryPolicy;

struct Case {
  std::optional<RetryPolicy> policy;
  std::optional<int> max_retries;
  int graph_default;
  std::uint32_t attempts;
  std::vector<int> delays_ms;  // without chance, before the 2nd, 3rd ... attempt
};

TEST(RetryPolicy, FollowsTheTable) {
  const std::vector<Case> cases{
      {RetryPolicy::kNone, std::nullopt, 4, 1, {}},
      {RetryPolicy::kStandard, std::nullopt, 0, 5, {5000, 10000, 20000, 40000}},
      {RetryPolicy::kAggressive, 1, 0, 5, {500, 1000, 2000, 4000}},
      {RetryPolicy::kLinear, std::nullopt, 0, 3, {500, 500}},
      {RetryPolicy::kPatient, std::nullopt, 0, 3, {2000, 6000}},
      {std::nullopt, 2, 7, 3, {5000, 10000}},
      {std::nullopt, 0, 7, 1, {}},
      {std::nullopt, std::nullopt, 1, 2, {5000}},
      {std::nullopt, std::nullopt, 0, 1, {}},
  };
  for (const Case& c : cases) {
    workflow::Graph graph;
    graph.default_max_retries = c.graph_default;
    workflow::Node node;
    node.retry_policy = c.policy;
    node.max_retries = c.max_retries;
    const RetryPlan plan = RetryPlanFor(graph, node);
    EXPECT_EQ(plan.max_attempts, c.attempts);
    for (std::size_t i = 0; i < c.delays_ms.size(); ++i) {
      EXPECT_EQ(RetryDelay(plan, static_cast<std::uint32_t>(i), 0.5), milliseconds(c.delays_ms[i]));
    }
  }
}

TEST(RetryPolicy, SpreadsDelaysFromHalfToOneAndAHalf) {
  const RetryPlan plan{.max_attempts = 9, .first_delay = milliseconds(1000), .factor = 2};
  EXPECT_EQ(RetryDelay(plan, 0, 0), milliseconds(500));
  EXPECT_EQ(RetryDelay(plan, 1, 0.9999999), milliseconds(3000));
}

TEST(RetryPolicy, CapsTheDelayHoweverManyRetries) {
  const RetryPlan plan{.max_attempts = 5000};
  EXPECT_EQ(RetryDelay(plan, 4, 0.5), kMaxRetryDelay);
  EXPECT_EQ(RetryDelay(plan, 4000, 0), kMaxRetryDelay);  // 2^4000 is beyond a double
}

TEST(RetryPolicy, TriesAgainWhatMayGetBetter) {
  const auto outcome = [](OutcomeStatus status, std::optional<FailureClass> failure_class) {
    Outcome out;
    out.status = status;
    if (failure_class) out.failure = Failure{"", *failure_class};
    return out;
  };
  EXPECT_TRUE(IsRetryable(outcome(OutcomeStatus::kRetry, std::nullopt)));
  EXPECT_TRUE(IsRetryable(outcome(OutcomeStatus::kFail, FailureClass::kTransientInfra)));
  EXPECT_FALSE(IsRetryable(outcome(OutcomeStatus::kFail, std::nullopt)));
  EXPECT_FALSE(IsRetryable(outcome(OutcomeStatus::kFail, FailureClass::kDeterministic)));
  EXPECT_FALSE(IsRetryable(outcome(OutcomeStatus::kFail, FailureClass::kBudgetExhausted)));
  EXPECT_FALSE(IsRetryable(outcome(OutcomeStatus::kPartialSuccess, FailureClass::kTransientInfra)));
  EXPECT_FALSE(IsRetryable(outcome(OutcomeStatus::kSuccess, std::nullopt)));
}

}  // namespace
}  // namespace fabro::engine
