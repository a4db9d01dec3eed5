// When two failures are the same failure.
#pragma once

#include <string>
#include <string_view>

#include "core/engine/outcome.h"

namespace fabro::engine {

inline constexpr std::size_t kMaxSignatureMessage = 240;  // characters

// "node|class|message", the message in lower case with what differs from time to time taken out: `0x` numbers
// and runs of eight or more hex digits as <hex>, other digits as <n>. Reads no more of a long message than it
// needs.
std::string FailureSignature(std::string_view node_id, FailureClass failure_class, std::string_view message);

// Whether failures of the class count in the breaker that ends a run which goes in circles.
bool CountsInBreaker(FailureClass failure_class);

}  // namespace fabro::engine
