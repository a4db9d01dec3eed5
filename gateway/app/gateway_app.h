// The gateway, put together: routes, upstream, feeds, transcoder and listener, built in order and stopped in
// reverse.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config/server_config.h"
#include "gateway/auth/rate_limiter.h"
#include "gateway/http/limits.h"
#include "gateway/http/server_tls.h"

namespace grpc {
class Channel;
}
namespace fabro::config {
class Environment;
}

namespace fabro::gateway {

struct GatewayOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  std::string base_url;    // of absolute links; empty: http://localhost:PORT
  std::vector<std::string> cors_origins;
  bool metrics_open = false;  // /metrics without credentials
  // Absent: the listener is a loopback address, and everyone is `local`. Empty: nobody is let in.
  std::optional<std::vector<config::AuthStrategy>> strategies;
  std::string jwt_public_key;  // for the strategy jwt: PEM, or base64 of PEM
  std::vector<std::string> allowed_usernames;
  auth::RateLimit rate_limit;
  std::optional<http::TlsFiles> tls;  // absent: plain HTTP. `ca` is for the strategy mtls
  http::HttpLimits limits;
};
GatewayOptions OptionsOf(const config::ServerConfig& config, const config::Environment& environment);

class GatewayApp {
 public:
  // Compiles the routes and begins to answer. The channel reaches the core: MakeChannel(address), or the
  // core's own within the process; the core need not be there yet. The runtime outlives the app.
  static absl::StatusOr<std::unique_ptr<GatewayApp>> Start(std::shared_ptr<grpc::Channel> channel,
                                                           GatewayOptions options);
  // What Start refuses for keys and certificates that are no good, before anything else is started.
  // FailedPrecondition: what is wrong and what to do about it. Blocking.
  static absl::Status Check(const GatewayOptions& options);
  ~GatewayApp();  // stops at once if Stop was not called

  std::uint16_t port() const;
  const std::string& base_url() const;

  // Takes what may change while it runs: who is allowed in. Thread-safe.
  void Apply(const config::ServerConfig& config);

  // No further request: calls in flight may finish and streams get what is there, for at most `grace`.
  // Blocks; not from a coroutine. Idempotent. Before the core stops, when that is in the same process.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Parts;
  explicit GatewayApp(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

// To "unix:/path" or "host:port", over TLS if its files are given; FailedPrecondition when they are no good.
absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const config::GatewayConfig& config);

}  // namespace fabro::gateway
