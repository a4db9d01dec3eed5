#include "core/config/startable.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/run_settings.h"

namespace fabro::config {
namespace {

absl::Status Refuse(std::string_view subject, std::string_view message) {
  return FailedPrecondition(Reason::kInvalidArgument, subject, message);
}

absl::Status CheckGateway(const ServerConfig& config) {
  const ApiConfig& api = config.api;
  if (!api.authentication_strategies && !IsLoopbackHost(api.host)) {
    return Refuse("api.host",
                  StrCat("api.host is ", api.host,
                         ", which others can reach, and no authentication is configured. Set "
                         "api.authentication_strategies, or listen on 127.0.0.1 (--host 127.0.0.1)."));
  }
  if (api.tls.any() && (api.tls.cert.empty() || api.tls.key.empty())) {
    const std::string_view missing = api.tls.cert.empty() ? "cert" : "key";
    return Refuse("api.tls", StrCat("api.tls.", missing,
                                    " is missing: HTTPS needs api.tls.cert and api.tls.key. Set both, or "
                                    "remove the section to serve HTTP."));
  }
  const std::vector<AuthStrategy> strategies =
      api.authentication_strategies.value_or(std::vector<AuthStrategy>());
  const bool mtls = std::find(strategies.begin(), strategies.end(), AuthStrategy::kMtls) != strategies.end();
  if (mtls && !api.tls.all()) {
    return Refuse("api.authentication_strategies",
                  "api.authentication_strategies has \"mtls\", so api.tls needs cert, key and ca: without "
                  "them nobody could show a certificate.");
  }
  return absl::OkStatus();
}

// Where the core listens, or where the gateway finds it. `section` is where its TLS files are given.
absl::Status CheckCoreAddress(std::string_view key, std::string_view address, std::string_view section,
                              const TlsFiles& tls) {
  if (tls.any() && !tls.all()) {
    const std::string_view missing = tls.cert.empty() ? "cert" : tls.key.empty() ? "key" : "ca";
    return Refuse(section, StrCat(section, '.', missing, " is missing: both sides show a certificate, so ",
                                  section, " needs cert, key and ca."));
  }
  if (address.starts_with("unix:") && address.size() > 5) {
    if (!tls.any()) return absl::OkStatus();
    return Refuse(key, StrCat(section, " is set, but ", key, " is ", address, ", where there is no TLS. Set ",
                              key, " to HOST:PORT, or remove ", section, '.'));
  }
  const std::string_view host = HostOfAddress(address);
  if (host == address || host.empty()) {
    return Refuse(key, StrCat(key, " is ", address, "; it must be unix:PATH or HOST:PORT."));
  }
  if (tls.any() || IsLoopbackHost(host)) return absl::OkStatus();
  return Refuse(
      key, StrCat(key, " is ", address, ", which others can reach, and without TLS anyone could use it. Set ",
                  section, ".cert, key and ca, or use a unix socket or a loopback address."));
}

absl::Status CheckCore(const ServerConfig& config) {
  if (!config.storage_url.starts_with("sqlite:")) {
    return Refuse("storage.url",
                  "storage.url: this version stores in SQLite only; use sqlite:PATH or leave it out.");
  }
  if (!IsAllowed(config.sandbox, config.sandbox.provider)) {
    return Refuse("sandbox.allowed_providers",
                  StrCat("sandbox.provider is ", config.sandbox.provider,
                         ", which sandbox.allowed_providers does not have. Add it there, or set another "
                         "sandbox.provider."));
  }
  if (config.sandbox.provider == "docker" && config.sandbox.docker_image.empty()) {
    return Refuse("sandbox.docker.image",
                  "sandbox.provider is docker, but no image is named to run commands in. Set "
                  "sandbox.docker.image, for example to \"debian:12\".");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckStartable(const ServerConfig& config, Program program) {
  if (program != Program::kCore) FABRO_RETURN_IF_ERROR(CheckGateway(config));
  if (program != Program::kGateway) FABRO_RETURN_IF_ERROR(CheckCore(config));
  if (program == Program::kCore)
    return CheckCoreAddress("core.listen", config.core.listen, "core.tls", config.core.tls);
  if (program == Program::kGateway)
    return CheckCoreAddress("gateway.core", config.gateway.core, "gateway.tls", config.gateway.tls);
  return absl::OkStatus();
}

bool IsLoopbackHost(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string name = ToLower(host);
  if (name == "localhost" || (name.ends_with(".localhost") && name[0] != '.')) return true;
  in_addr v4;
  if (::inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  if (::inet_pton(AF_INET6, name.c_str(), &v6) != 1) return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string_view HostOfAddress(std::string_view address) {
  if (address.starts_with('[')) {
    const std::size_t end = address.find("]:");
    return end == std::string_view::npos ? address : address.substr(1, end - 1);
  }
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || address.find(':') != colon) return address;
  return address.substr(0, colon);
}

}  // namespace fabro::config
