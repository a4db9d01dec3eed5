// Whether a program may be started with a configuration: the rules that keep a server from standing open by
// accident.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "core/config/server_config.h"

namespace fabro::config {

enum class Program : std::uint8_t { kServe, kCore, kGateway };

// FailedPrecondition with what to do about it:
//  - the HTTP listener is not a loopback address and no authentication is configured;
//  - api.tls lacks a file, or the strategy "mtls" has no api.tls;
//  - the sandbox is docker and no image is named, or is none of those that are allowed;
//  - the core would listen on the network without TLS;
//  - the storage is of a kind that this version does not have.
absl::Status CheckStartable(const ServerConfig& config, Program program);

// localhost, *.localhost, 127.0.0.0/8 and ::1 (with or without brackets). Names are not resolved.
bool IsLoopbackHost(std::string_view host);
// The host of "host:port" or "[v6]:port"; the whole text when there is no port.
std::string_view HostOfAddress(std::string_view address);

}  // namespace fabro::config
