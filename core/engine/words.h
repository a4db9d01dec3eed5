// Between the engine's enums and those of the event protos.
#pragma once

#include "core/engine/outcome.h"
#include "core/engine/routing.h"
#include "core/workflow/human_options.h"
#include "core/workflow/kinds.h"

namespace fabro::v1 {
class StageUsage;
enum OutcomeStatus : int;
enum FailureClass : int;
enum EdgeReason : int;
enum QuestionType : int;
enum JoinPolicy : int;
}  // namespace fabro::v1

namespace fabro::engine {

v1::OutcomeStatus ToProto(OutcomeStatus status);
OutcomeStatus FromProto(v1::OutcomeStatus status);  // an unknown word of a newer server counts as fail
v1::FailureClass ToProto(FailureClass failure_class);
FailureClass FromProto(v1::FailureClass failure_class);  // ... as deterministic
void SetUsage(const StageUsage& usage, v1::StageUsage& out);
v1::EdgeReason ToProto(EdgeReason reason);
v1::QuestionType ToProto(workflow::QuestionType type);
v1::JoinPolicy ToProto(workflow::JoinPolicy policy);

}  // namespace fabro::engine
