// Which run is meant by a part of its id.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/api.h"

namespace fabro::cli {

// A whole id is passed on as it is, known or not. Else the run whose id begins or ends with `text` (any case,
// 4 characters at least) among the newest 500; InvalidArgument when there are several, NotFound when there is
// none.
absl::StatusOr<std::string> ResolveRun(Api& api, const std::string& text);

}  // namespace fabro::cli
