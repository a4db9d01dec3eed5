// What a handler is told about the attempt it runs.
#pragma once

#include "core/engine/run_core.h"

namespace fabro::engine {

// For the course's stage in hand.
ExecuteStage MakeStageRequest(const RunCore& core, const Frame& frame, std::uint32_t max_attempts);

// The branch whose files a fan-in takes over: the winner's, where the run works in git. Empty: none.
std::string AdoptedBranch(const RunCore& core, const Frame& frame);

// `$goal`, where no identifier goes on, becomes the goal.
std::string ReplaceGoal(std::string_view text, std::string_view goal);

}  // namespace fabro::engine
