// What ties an answer to its lines in the logs.
#pragma once

#include <string>
#include <string_view>

namespace fabro::http {

std::string MakeRequestId();

// Whether a client's X-Request-Id may be used as it is: at most 128 printable characters.
bool IsRequestId(std::string_view text);

}  // namespace fabro::http
