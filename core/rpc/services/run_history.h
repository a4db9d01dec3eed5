// A run's checkpoints, and going on from one: the calls of RunService that the supervisor's history answers.
#pragma once

#include "absl/status/status.h"
#include "core/async/task.h"
#include "core/rpc/call.h"
#include "core/rpc/services/services.h"

namespace fabro::v1 {
class ForkRunRequest;
class ListRunCheckpointsRequest;
class PaginatedCheckpointList;
class RewindRunRequest;
class RunStatusResponse;
}  // namespace fabro::v1

namespace fabro::rpc {

Task<absl::Status> ListCheckpoints(const Backend& backend, const v1::ListRunCheckpointsRequest& request,
                                   v1::PaginatedCheckpointList& response);
Task<absl::Status> RewindRun(const Backend& backend, const CallContext& call,
                             const v1::RewindRunRequest& request, v1::RunStatusResponse& response);
Task<absl::Status> ForkRun(const Backend& backend, const CallContext& call, const v1::ForkRunRequest& request,
                           v1::RunStatusResponse& response);

// ResourceExhausted when as many runs wait for a slot as may: new ones, forks, and those that come back.
absl::Status CheckQueue(const Backend& backend);

}  // namespace fabro::rpc
