#include "cli/health.h"

#include <utility>

#include "cli/api.h"
#include "cli/exit_codes.h"
#include "cli/terminal.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/load.h"
#include "core/config/startable.h"

namespace fabro::cli {
namespace {

absl::StatusOr<config::ServerConfig> LoadConfig(const HealthOptions& options) {
  config::Sources sources;
  sources.config_path = options.config_path;
  sources.environment = config::Environment::FromProcess();
  absl::StatusOr<config::Loaded> loaded = config::Load(std::move(sources));
  if (!loaded.ok()) return loaded.status();
  return std::move(loaded->config);
}

// Nothing secret is sent, so a server on this machine need not prove its name: certificates do not name
// loopback addresses as a rule.
absl::Status AskServer(const std::string& url, const ClientTls& tls, bool live) {
  const auto http = MakeHttpClient(
      {.tls = tls, .connect_timeout = kHealthTimeout, .verifies = !config::IsLoopbackHost(HostOfUrl(url))});
  const absl::StatusOr<HttpResponse> response =
      http->Send({.url = url + (live ? "/health/live" : "/health/ready"), .timeout = kHealthTimeout});
  if (!response.ok()) return response.status();
  return response->status == 200 ? absl::OkStatus() : ErrorOfResponse(response->status, response->body);
}

int Tell(const absl::Status& status, const std::string& where, bool live) {
  if (!status.ok()) return Fail(status, where);
  Print({{live ? "live" : "ready"}, {StrCat("  ", where), Tone::kDim}});
  return kExitOk;
}

int WrongConfig(const absl::Status& status) {
  PrintError(MessageOf(status));
  return kExitUsage;
}

}  // namespace

absl::StatusOr<std::string> LocalUrl(const config::ServerConfig& config) {
  const config::ApiConfig& api = config.api;
  if (api.port == 0) {
    return FailedPrecondition(
        Reason::kInvalidArgument, "api.port",
        "api.port is 0, so only the server's log says where it listens; use --server URL");
  }
  std::string host = api.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::" || host == "[::]") host = "::1";
  if (host.find(':') != std::string::npos && !host.starts_with('[')) host = StrCat('[', host, ']');
  return StrCat(api.tls.any() ? "https://" : "http://", host, ':', api.port);
}

int CheckHealth(const HealthOptions& options, const ClientTls& tls, CoreHealth ask_core) {
  if (!options.core && !options.server.empty()) {
    return Tell(AskServer(options.server, tls, options.live), options.server, options.live);
  }
  const absl::StatusOr<config::ServerConfig> config = LoadConfig(options);
  if (!config.ok()) return WrongConfig(config.status());
  if (options.core) return Tell(ask_core(config->gateway, options.live), config->gateway.core, options.live);
  const absl::StatusOr<std::string> url = LocalUrl(*config);
  if (!url.ok()) return WrongConfig(url.status());
  return Tell(AskServer(*url, tls, options.live), *url, options.live);
}

}  // namespace fabro::cli
