// What a handler is told about the attempt it runs.
#pragma once

#include "core/engine/run_core.h"

namespace fabro::engine {

// For the course's stage in hand.
ExecuteStage MakeStageRequest(const RunCore& core, const Frame& frame, std::uint32_t max_attempts);

// `$goal`, where no identifier goes on, becomes the goal.
std::string ReplaceGoal(std::string_view text, std::string_view goal);

}  // namespace fabro::engine
