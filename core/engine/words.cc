#include "core/engine/words.h"

#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

v1::OutcomeStatus ToProto(OutcomeStatus status) {
  switch (status) {
    case OutcomeStatus::kSuccess:
      return v1::OUTCOME_STATUS_SUCCESS;
    case OutcomeStatus::kPartialSuccess:
      return v1::OUTCOME_STATUS_PARTIAL_SUCCESS;
    case OutcomeStatus::kFail:
      return v1::OUTCOME_STATUS_FAIL;
    case OutcomeStatus::kRetry:
      return v1::OUTCOME_STATUS_RETRY;
    case OutcomeStatus::kSkipped:
      return v1::OUTCOME_STATUS_SKIPPED;
  }
  return v1::OUTCOME_STATUS_UNSPECIFIED;
}

OutcomeStatus FromProto(v1::OutcomeStatus status) {
  switch (status) {
    case v1::OUTCOME_STATUS_SUCCESS:
      return OutcomeStatus::kSuccess;
    case v1::OUTCOME_STATUS_PARTIAL_SUCCESS:
      return OutcomeStatus::kPartialSuccess;
    case v1::OUTCOME_STATUS_RETRY:
      return OutcomeStatus::kRetry;
    case v1::OUTCOME_STATUS_SKIPPED:
      return OutcomeStatus::kSkipped;
    default:
      return OutcomeStatus::kFail;
  }
}

v1::FailureClass ToProto(FailureClass failure_class) {
  switch (failure_class) {
    case FailureClass::kDeterministic:
      return v1::FAILURE_CLASS_DETERMINISTIC;
    case FailureClass::kTransientInfra:
      return v1::FAILURE_CLASS_TRANSIENT_INFRA;
    case FailureClass::kBudgetExhausted:
      return v1::FAILURE_CLASS_BUDGET_EXHAUSTED;
    case FailureClass::kCanceled:
      return v1::FAILURE_CLASS_CANCELED;
    case FailureClass::kStructural:
      return v1::FAILURE_CLASS_STRUCTURAL;
    case FailureClass::kCompilationLoop:
      return v1::FAILURE_CLASS_COMPILATION_LOOP;
  }
  return v1::FAILURE_CLASS_UNSPECIFIED;
}

FailureClass FromProto(v1::FailureClass failure_class) {
  switch (failure_class) {
    case v1::FAILURE_CLASS_TRANSIENT_INFRA:
      return FailureClass::kTransientInfra;
    case v1::FAILURE_CLASS_BUDGET_EXHAUSTED:
      return FailureClass::kBudgetExhausted;
    case v1::FAILURE_CLASS_CANCELED:
      return FailureClass::kCanceled;
    case v1::FAILURE_CLASS_STRUCTURAL:
      return FailureClass::kStructural;
    case v1::FAILURE_CLASS_COMPILATION_LOOP:
      return FailureClass::kCompilationLoop;
    default:
      return FailureClass::kDeterministic;
  }
}

void SetUsage(const StageUsage& usage, v1::StageUsage& out) {
  out.set_model(usage.model);
  out.set_input_tokens(usage.input_tokens);
  out.set_output_tokens(usage.output_tokens);
  if (usage.cache_read_tokens > 0) out.set_cache_read_tokens(usage.cache_read_tokens);
  if (usage.cache_write_tokens > 0) out.set_cache_write_tokens(usage.cache_write_tokens);
  if (usage.reasoning_tokens > 0) out.set_reasoning_tokens(usage.reasoning_tokens);
  if (usage.cost) out.set_cost(*usage.cost);
}

v1::EdgeReason ToProto(EdgeReason reason) {
  switch (reason) {
    case EdgeReason::kCondition:
      return v1::EDGE_REASON_CONDITION;
    case EdgeReason::kPreferredLabel:
      return v1::EDGE_REASON_PREFERRED_LABEL;
    case EdgeReason::kSuggestedNext:
      return v1::EDGE_REASON_SUGGESTED_NEXT;
    case EdgeReason::kUnconditional:
      return v1::EDGE_REASON_UNCONDITIONAL;
    case EdgeReason::kRetryTarget:
      return v1::EDGE_REASON_RETRY_TARGET;
    case EdgeReason::kJump:
      return v1::EDGE_REASON_JUMP;
  }
  return v1::EDGE_REASON_UNSPECIFIED;
}

v1::QuestionType ToProto(workflow::QuestionType type) {
  switch (type) {
    case workflow::QuestionType::kMultipleChoice:
      return v1::QUESTION_TYPE_MULTIPLE_CHOICE;
    case workflow::QuestionType::kYesNo:
      return v1::QUESTION_TYPE_YES_NO;
    case workflow::QuestionType::kMultiSelect:
      return v1::QUESTION_TYPE_MULTI_SELECT;
    case workflow::QuestionType::kFreeform:
      return v1::QUESTION_TYPE_FREEFORM;
  }
  return v1::QUESTION_TYPE_UNSPECIFIED;
}

v1::JoinPolicy ToProto(workflow::JoinPolicy policy) {
  switch (policy) {
    case workflow::JoinPolicy::kWaitAll:
      return v1::JOIN_POLICY_WAIT_ALL;
    case workflow::JoinPolicy::kFirstSuccess:
      return v1::JOIN_POLICY_FIRST_SUCCESS;
  }
  return v1::JOIN_POLICY_UNSPECIFIED;
}

}  // namespace fabro::engine
