#include "core/engine/retry_policy.h"

#include <algorithm>
#include <cmath>

namespace fabro::engine {

using std::chrono::milliseconds;

RetryPlan RetryPlanFor(const workflow::Graph& graph, const workflow::Node& node) {
  if (node.retry_policy) {
    switch (*node.retry_policy) {
      case workflow::RetryPolicy::kNone:
        return {.max_attempts = 1};
      case workflow::RetryPolicy::kStandard:
        return {.max_attempts = 5};
      case workflow::RetryPolicy::kAggressive:
        return {.max_attempts = 5, .first_delay = milliseconds(500)};
      case workflow::RetryPolicy::kLinear:
        return {.max_attempts = 3, .first_delay = milliseconds(500), .factor = 1};
      case workflow::RetryPolicy::kPatient:
        return {.max_attempts = 3, .first_delay = milliseconds(2000), .factor = 3};
    }
  }
  const int retries = std::max(0, node.max_retries.value_or(graph.default_max_retries));
  return {.max_attempts = static_cast<std::uint32_t>(retries) + 1};
}

milliseconds RetryDelay(const RetryPlan& plan, std::uint32_t retries_used, double chance) {
  const double base = static_cast<double>(plan.first_delay.count()) * std::pow(plan.factor, retries_used);
  const double spread = base * (0.5 + chance);
  return milliseconds(std::llround(std::min(spread, static_cast<double>(kMaxRetryDelay.count()))));
}

bool IsRetryable(const Outcome& outcome) {
  if (outcome.status == OutcomeStatus::kRetry) return true;
  return outcome.status == OutcomeStatus::kFail && outcome.failure &&
         outcome.failure->failure_class == FailureClass::kTransientInfra;
}

}  // namespace fabro::engine
