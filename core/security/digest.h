// Hashes of content.
#pragma once

#include <string>
#include <string_view>

namespace fabro::security {

std::string Sha256Hex(std::string_view bytes);  // 64 lower-case digits (FIPS 180-4)

}  // namespace fabro::security
