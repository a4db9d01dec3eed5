// W3C Trace Context, level 1: https://www.w3.org/TR/trace-context/
#pragma once

#include <string_view>

namespace fabro {

// Whether the text is a `traceparent` of version 00: "00-" 32 digits "-" 16 digits "-" 2 digits, hexadecimal
// in lower case, neither id all zeros.
bool IsTraceparent(std::string_view text);

}  // namespace fabro
