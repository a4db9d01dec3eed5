#include "gateway/app/gateway_app.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "core/async/runtime.h"
#include "core/async/sleep.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/server_config.h"
#include "gateway/auth/authenticator.h"
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
              {"peer", record.peer}});
}

// One thread moves bytes for some 80,000 requests a second, and a loop with one thread needs no hand-over
// between threads; calls continue on the thread that polls gRPC.
int IoThreads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 4); }

http::ListenerOptions ListenerOptionsOf(const GatewayOptions& options) {
  http::ListenerOptions listener;
  listener.host = options.host;
  listener.port = options.port;
  listener.limits = options.limits;
  listener.access_log = LogAccess;
  return listener;
}

}  // namespace

// In the order of construction; what is below uses what is above.
struct GatewayApp::Parts {
  Parts(std::shared_ptr<grpc::Channel> channel, const GatewayOptions& o,
        std::unique_ptr<const route::RouteTable> table)
      : options(o),
        routes(std::move(table)),
        authenticator(auth::MakeLoopbackAuthenticator(options.cors_origins)),
        io(IoThreads()),
        upstream(upstream::MakeGrpcUpstream(std::move(channel))),
        feeds(io.executor(), *upstream, SystemTime(), transcode::FeedLimits()),
        listener(io, SystemTime(), ListenerOptionsOf(options)) {}

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
  const std::unique_ptr<auth::Authenticator> authenticator;
  Runtime io;
  const std::unique_ptr<upstream::Upstream> upstream;
  transcode::FeedHub feeds;
  std::once_flag document_once;
  http::Piece document;
  std::unique_ptr<transcode::Transcoder> transcoder;
  http::Listener listener;
  bool stopped = false;
};

GatewayOptions OptionsOf(const config::ServerConfig& config) {
  GatewayOptions options;
  options.host = config.api.host;
  options.port = static_cast<std::uint16_t>(config.api.port);
  options.base_url = config.api.base_url;
  options.cors_origins = config.api.cors_origins;
  options.metrics_open = config.metrics_open;
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
  auto parts = std::make_unique<Parts>(std::move(channel), options, std::move(table));
  if (absl::Status bound = parts->listener.Bind(); !bound.ok()) {
    parts->feeds.Stop();
    return bound;
  }
  parts->base_url =
      options.base_url.empty() ? StrCat("http://localhost:", parts->listener.port()) : options.base_url;
  transcode::TranscoderOptions transcoder;
  transcoder.base_url = parts->base_url;
  transcoder.cors_origins = options.cors_origins;
  transcoder.metrics_open = options.metrics_open;
  transcoder.openapi = [parts = parts.get()] { return parts->OpenApi(); };
  parts->transcoder = std::make_unique<transcode::Transcoder>(
      *parts->routes, *parts->authenticator, *parts->upstream, parts->feeds, std::move(transcoder));
  parts->listener.Start(*parts->transcoder);
  return std::unique_ptr<GatewayApp>(new GatewayApp(std::move(parts)));
}

GatewayApp::GatewayApp(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

GatewayApp::~GatewayApp() { Stop(std::chrono::milliseconds(0)); }

std::uint16_t GatewayApp::port() const { return parts_->listener.port(); }

const std::string& GatewayApp::base_url() const { return parts_->base_url; }

void GatewayApp::Stop(std::chrono::milliseconds grace) {
  if (std::exchange(parts_->stopped, true)) return;
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
