// The one table from the core's statuses to HTTP.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "core/base/error.h"
#include "gateway/http/message.h"

namespace fabro::transcode {

// The HTTP status of a failed call. CANCELLED counts as a server that goes down: a client that left sees
// nothing.
int HttpStatusOf(absl::StatusCode code, Reason reason);

// The answer to a failed call: status, Retry-After, WWW-Authenticate and the envelope, one entry for each
// field that is wrong. Nothing of what is our fault is told but the request id.
http::Response ToResponse(const absl::Status& status, std::string_view request_id);

}  // namespace fabro::transcode
