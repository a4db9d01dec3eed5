// Context values are kept as compact JSON text; these few functions are all that the engine needs to read of
// it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/workflow/condition.h"

namespace fabro::engine {

// The text of a JSON string literal with its quotes; any other JSON text as it is.
std::string TextOf(std::string_view json);

// As conditions see it: the text, and the texts of an array's elements.
workflow::ContextValue ValueOf(std::string_view json);

}  // namespace fabro::engine
