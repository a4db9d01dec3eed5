// The ids of runs that stages begin.
#pragma once

#include "core/base/ids.h"
#include "core/base/random.h"

namespace fabro::engine {

RunId NewChildId(Timestamp now, Random& random);

}  // namespace fabro::engine
