// `fabro health`: whether a server, or a core without its gateway, takes work. What probes call.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "cli/options.h"

namespace fabro::config {
struct GatewayConfig;
struct ServerConfig;
}  // namespace fabro::config

namespace fabro::cli {

// Of the whole question: a probe that waits longer is as bad as one that fails.
inline constexpr std::chrono::milliseconds kHealthTimeout{5'000};

// Asks a core as a gateway with this configuration does. With `live` any answer is a good one. Errors are the
// core's own, or IsUnreachable().
using CoreHealth = absl::Status (*)(const config::GatewayConfig& gateway, bool live);
absl::Status AskCore(const config::GatewayConfig& gateway, bool live);  // only in a program with a gateway

// Where this machine reaches the server that the configuration describes. FailedPrecondition when its port is
// known only once it listens.
absl::StatusOr<std::string> LocalUrl(const config::ServerConfig& config);

// Prints one line. Exit codes: 0 well, 1 it answers and is not, 3 it does not answer.
int CheckHealth(const HealthOptions& options, const ClientTls& tls, CoreHealth ask_core);

}  // namespace fabro::cli
