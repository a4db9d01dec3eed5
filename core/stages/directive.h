// The routing directive: a stage steers its run by a JSON object in its own text.
#pragma once

#include <string_view>

#include "core/engine/outcome.h"

namespace fabro::stages {

// Takes the last line of a command's standard output that is a JSON object with any of `outcome`,
// `failure_reason`, `preferred_next_label`, `suggested_next_ids`, `context_updates`, and applies it to what
// the command's end gave. It can lower a success, never raise a failure. Members of a wrong type are passed
// over.
void ApplyDirective(std::string_view output, engine::Outcome* outcome);

}  // namespace fabro::stages
