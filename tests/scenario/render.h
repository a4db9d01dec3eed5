// Records, effects and state as the lines of a story.
#pragma once

#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/engine/machine.h"

namespace fabro::scenario {

// "3 StageStarted node_id=build attempt=1 max_attempts=1", then a line for each change of the context.
std::vector<std::string> RenderRecord(const engine::Record& record);
std::string RenderEffect(const engine::Effect& effect);
std::string RenderRefusal(const absl::Status& refusal);
// "running at build, active, wakes in 5s"
std::string RenderState(const engine::Machine& machine, Timestamp now);

}  // namespace fabro::scenario
