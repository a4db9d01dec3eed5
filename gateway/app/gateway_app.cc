#include "gateway/app/gateway_app.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "core/async/blocking_pool.h"
#include "core/async/runtime.h"
#include "core/async/sleep.h"
#include "core/async/task_scope.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/environment.h"
#include "core/config/startable.h"
#include "gateway/auth/allowed_users.h"
#include "gateway/auth/auth_metrics.h"
#include "gateway/auth/authenticator.h"
#include "gateway/auth/strategy.h"
#include "gateway/http/listener.h"
#include "gateway/openapi/document.h"
#include "gateway/route/route_table.h"
#include "gateway/transcode/feed.h"
#include "gateway/transcode/transcoder.h"
#include "gateway/upstream/grpc_upstream.h"
#include "proto/api.h"

namespace fabro::gateway {
namespace {

// Every answer at debug level; what is our fault always.
void LogAccess(const http::AccessRecord& record) {
  const LogLevel level = record.status >= 500 ? LogLevel::kWarn : LogLevel::kDebug;
  if (!log::Enabled(level)) return;
  log::Write(level, "answered",
             {{"verb", record.verb},
              {"path", record.path},
              {"status", record.status},
              {"bytes", record.bytes},
              {"duration", record.duration},
              {"request_id", record.request_id},
              {"principal", record.principal},
              {"peer", record.peer}});
}

// One thread moves bytes for some 80,000 requests a second, and a loop with one thread needs no hand-over
// between threads; calls continue on the thread that polls gRPC.
int IoThreads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 4); }

http::ListenerOptions ListenerOptionsOf(const GatewayOptions& options, http::ServerTls* tls) {
  http::ListenerOptions listener;
  listener.host = options.host;
  listener.port = options.port;
  listener.limits = options.limits;
  listener.tls = tls;
  listener.access_log = LogAccess;
  return listener;
}

// The scheme and authority of a URL: what browsers send as Origin.
std::string OriginOf(const std::string& url) {
  const std::size_t scheme = url.find("://");
  return scheme == std::string::npos ? std::string() : url.substr(0, url.find('/', scheme + 3));
}

bool Has(const GatewayOptions& options, config::AuthStrategy strategy) {
  return options.strategies && std::ranges::find(*options.strategies, strategy) != options.strategies->end();
}

http::ClientCertificates ClientCertificatesOf(const GatewayOptions& options) {
  if (!Has(options, config::AuthStrategy::kMtls)) return http::ClientCertificates::kNone;
  return options.strategies->size() == 1 ? http::ClientCertificates::kRequired
                                         : http::ClientCertificates::kOptional;
}

// Null without api.tls.
absl::StatusOr<std::unique_ptr<http::ServerTls>> LoadTls(const GatewayOptions& options) {
  if (!options.tls) return nullptr;
  return http::ServerTls::Load(*options.tls, ClientCertificatesOf(options), SystemClock());
}

// Why the listener is less safe than it looks, for whoever reads the log.
void WarnOf(const GatewayOptions& options) {
  if (options.strategies && options.strategies->empty()) {
    log::Warn("api.authentication_strategies is empty: every request is refused with 401");
  }
  if (options.tls && !options.tls->ca.empty() && !Has(options, config::AuthStrategy::kMtls)) {
    log::Warn("api.tls.ca has no effect: api.authentication_strategies does not have \"mtls\"");
  }
  if (!Has(options, config::AuthStrategy::kJwt)) return;
  if (options.allowed_usernames.empty()) {
    log::Warn("web.auth.allowed_usernames is empty: every token is refused with 403");
  }
  if (!options.tls && !config::IsLoopbackHost(options.host)) {
    log::Warn(
        "TOKENS TRAVEL UNENCRYPTED: api.host is not a loopback address and there is no api.tls. Whoever sees "
        "the traffic can act as its users. Do this only behind something that ends TLS on the same machine "
        "or a network that nobody else is on; else set api.tls.cert and api.tls.key",
        {{"host", options.host}});
  }
}

}  // namespace

// In the order of construction; what is below uses what is above.
struct GatewayApp::Parts {
  Parts(std::shared_ptr<grpc::Channel> channel, const GatewayOptions& o,
        std::unique_ptr<const route::RouteTable> table, std::unique_ptr<http::ServerTls> server_tls)
      : options(o),
        routes(std::move(table)),
        allowed_users(options.allowed_usernames),
        io(IoThreads()),
        tls(std::move(server_tls)),
        upstream(upstream::MakeGrpcUpstream(std::move(channel))),
        feeds(io.executor(), *upstream, SystemTime(), transcode::FeedLimits()),
        listener(io, SystemTime(), ListenerOptionsOf(options, tls.get())),
        background(io.executor()) {}

  absl::Status MakeAuthenticator();
  Task<void> KeepTlsFresh();

  void WriteMetrics(metrics::Text& text) const {
    auth_metrics.Write(text);
    limiter.Write(text);
    if (tls) tls->Write(text);
  }

  // Made when first asked for: it takes some tens of milliseconds.
  http::Piece OpenApi() {
    std::call_once(document_once, [this] {
      openapi::Options document_options;
      document_options.base_url = base_url;
      document = std::make_shared<const std::string>(openapi::MakeDocument(*routes, document_options));
    });
    return document;
  }

  const GatewayOptions options;
  std::string base_url;
  const std::unique_ptr<const route::RouteTable> routes;
  auth::AllowedUsers allowed_users;
  auth::AuthMetrics auth_metrics;
  std::unique_ptr<auth::Authenticator> authenticator;
  auth::RateLimiter limiter{options.rate_limit, SystemClock()};
  Runtime io;
  BlockingPool files{"tls files", 1, 4};
  const std::unique_ptr<http::ServerTls> tls;  // null: plain HTTP
  const std::unique_ptr<upstream::Upstream> upstream;
  transcode::FeedHub feeds;
  std::once_flag document_once;
  http::Piece document;
  std::unique_ptr<transcode::Transcoder> transcoder;
  http::Listener listener;
  TaskScope background;
  bool stopped = false;
};

absl::Status GatewayApp::Parts::MakeAuthenticator() {
  if (!options.strategies) {
    authenticator = auth::MakeLoopbackAuthenticator(options.cors_origins);
    return absl::OkStatus();
  }
  std::vector<std::string> origins = options.cors_origins;
  origins.push_back(OriginOf(options.base_url));
  std::vector<std::unique_ptr<auth::Strategy>> strategies;
  for (const config::AuthStrategy strategy : *options.strategies) {
    if (strategy == config::AuthStrategy::kMtls) {
      strategies.push_back(auth::MakeMtlsStrategy(origins));
      continue;
    }
    FABRO_ASSIGN_OR_RETURN(auth::TokenKey key, auth::TokenKey::Parse(options.jwt_public_key));
    strategies.push_back(auth::MakeJwtStrategy(std::move(key), allowed_users));
  }
  authenticator = auth::MakeAuthenticator(std::move(strategies), SystemClock(), auth_metrics);
  return absl::OkStatus();
}

// Looks at the files every second until it is cancelled.
Task<void> GatewayApp::Parts::KeepTlsFresh() {
  while (true) {
    const absl::Status slept = co_await SystemTime().Sleep(std::chrono::seconds(1));
    if (!slept.ok()) co_return;
    auto refresh = [this]() -> absl::Status {
      tls->Refresh();
      return absl::OkStatus();
    };
    const absl::Status done = co_await RunBlocking(files, std::move(refresh));
    if (!done.ok()) log::Debug("TLS files were not looked at", {{"error", done}});
  }
}

GatewayOptions OptionsOf(const config::ServerConfig& config, const config::Environment& environment) {
  GatewayOptions options;
  options.host = config.api.host;
  options.port = static_cast<std::uint16_t>(config.api.port);
  options.base_url = config.api.base_url;
  options.cors_origins = config.api.cors_origins;
  options.metrics_open = config.metrics_open;
  options.strategies = config.api.authentication_strategies;
  options.jwt_public_key = environment.Find("FABRO_JWT_PUBLIC_KEY").value_or("");
  options.allowed_usernames = config.web.allowed_usernames;
  const config::TlsFiles& tls = config.api.tls;
  if (tls.any()) options.tls = http::TlsFiles{tls.cert, tls.key, tls.ca};
  options.rate_limit = {config.limits.requests_per_second, config.limits.burst};
  options.limits.max_body_bytes = static_cast<std::size_t>(config.limits.max_body_bytes);
  options.limits.max_header_bytes = static_cast<std::size_t>(config.limits.max_header_bytes);
  options.limits.max_connections = static_cast<std::size_t>(config.limits.max_connections);
  options.limits.max_connections_per_address =
      static_cast<std::size_t>(config.limits.max_connections_per_address);
  return options;
}

absl::StatusOr<std::unique_ptr<GatewayApp>> GatewayApp::Start(std::shared_ptr<grpc::Channel> channel,
                                                              GatewayOptions options) {
  FABRO_ASSIGN_OR_RETURN(
      auto table,
      route::RouteTable::Build(api::Services(), google::protobuf::MessageFactory::generated_factory()));
  FABRO_ASSIGN_OR_RETURN(auto tls, LoadTls(options));
  auto parts = std::make_unique<Parts>(std::move(channel), options, std::move(table), std::move(tls));
  absl::Status status = parts->MakeAuthenticator();
  if (status.ok()) status = parts->listener.Bind();
  if (!status.ok()) {
    parts->feeds.Stop();
    return status;
  }
  WarnOf(options);
  parts->base_url = options.base_url.empty()
                        ? StrCat(options.tls ? "https" : "http", "://localhost:", parts->listener.port())
                        : options.base_url;
  transcode::TranscoderOptions transcoder;
  transcoder.base_url = parts->base_url;
  transcoder.cors_origins = options.cors_origins;
  transcoder.metrics_open = options.metrics_open;
  transcoder.limiter = &parts->limiter;
  transcoder.more_metrics = [parts = parts.get()](metrics::Text& text) { parts->WriteMetrics(text); };
  transcoder.openapi = [parts = parts.get()] { return parts->OpenApi(); };
  parts->transcoder = std::make_unique<transcode::Transcoder>(
      *parts->routes, *parts->authenticator, *parts->upstream, parts->feeds, std::move(transcoder));
  parts->listener.Start(*parts->transcoder);
  if (parts->tls) parts->background.Spawn("TLS files", parts->KeepTlsFresh());
  return std::unique_ptr<GatewayApp>(new GatewayApp(std::move(parts)));
}

absl::Status GatewayApp::Check(const GatewayOptions& options) {
  FABRO_RETURN_IF_ERROR(LoadTls(options).status());
  if (!Has(options, config::AuthStrategy::kJwt)) return absl::OkStatus();
  return auth::TokenKey::Parse(options.jwt_public_key).status();
}

void GatewayApp::Apply(const config::ServerConfig& config) {
  parts_->allowed_users.Set(config.web.allowed_usernames);
  parts_->limiter.Set({config.limits.requests_per_second, config.limits.burst});
}

GatewayApp::GatewayApp(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

GatewayApp::~GatewayApp() { Stop(std::chrono::milliseconds(0)); }

std::uint16_t GatewayApp::port() const { return parts_->listener.port(); }

const std::string& GatewayApp::base_url() const { return parts_->base_url; }

void GatewayApp::Stop(std::chrono::milliseconds grace) {
  if (std::exchange(parts_->stopped, true)) return;
  parts_->background.Cancel();
  parts_->background.JoinBlocking();
  parts_->feeds.Drain();  // so that streams end while the listener waits for them
  parts_->listener.Stop(grace);
  parts_->feeds.Stop();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const config::GatewayConfig& config) {
  if (!config.tls.any()) return upstream::MakeChannel(config.core);
  const upstream::ChannelTlsFiles files{config.tls.cert, config.tls.key, config.tls.ca};
  return upstream::MakeTlsChannel(config.core, files, SystemClock().Now());
}

}  // namespace fabro::gateway
