// HTTP requests as calls of the core: finds the route, checks who asks, binds the request, calls, and renders
// the answer or the stream. Everything goes by descriptors: there is no code per method.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gateway/auth/authenticator.h"
#include "gateway/auth/rate_limiter.h"
#include "gateway/http/message.h"
#include "gateway/route/route_table.h"
#include "gateway/transcode/feed.h"
#include "gateway/transcode/request_metrics.h"
#include "gateway/upstream/upstream.h"

namespace fabro::transcode {

struct TranscoderOptions {
  std::string base_url;                   // before the path in Location; empty: the path alone
  std::vector<std::string> cors_origins;  // "https://host[:port]"; nobody else gets CORS headers
  // The OpenAPI document, asked for each time; the one answer that does not come from the core.
  std::function<http::Piece()> openapi;
  bool metrics_open = false;                         // whether /metrics is answered without credentials
  auth::RateLimiter* limiter = nullptr;              // null: everyone may ask as often as they like
  std::function<void(metrics::Text&)> more_metrics;  // written behind those of requests; may be empty
};

// Thread-safe; all that it is given outlives it.
class Transcoder final : public http::Handler {
 public:
  Transcoder(const route::RouteTable& routes, const auth::Authenticator& authenticator,
             upstream::Upstream& upstream, FeedHub& feeds, TranscoderOptions options);

  Task<http::Response> Handle(http::Request request) override;

 private:
  // What is known of a request beside its answer.
  struct Facts {
    const route::Route* route = nullptr;
    std::string principal;
  };

  Task<http::Response> Answer(const http::Request& request, Facts* facts);
  // Who asks, by credentials and within limits.
  absl::StatusOr<std::string> Identify(auth::Caller caller) const;
  absl::Status LimitAddress(const auth::Caller& caller) const;
  Task<http::Response> Call(const route::Route& route, const google::protobuf::Message& message,
                            const http::Request& request, std::string principal);
  Task<http::Response> Stream(const route::Route& route, const google::protobuf::Message& message,
                              const http::Request& request, std::string principal);
  // The gateway's own numbers behind the core's, or alone when the core is not there.
  void AddMetrics(bool core_answers, http::Response& response) const;
  http::Response AnswerOptions(const http::Request& request, std::string_view allow) const;
  http::Response Render(const route::Route& route, const google::protobuf::Message& message) const;
  void AddCors(const http::Request& request, http::Response& response) const;
  bool IsCorsOrigin(std::string_view origin) const;

  const route::RouteTable& routes_;
  const auth::Authenticator& authenticator_;
  upstream::Upstream& upstream_;
  FeedHub& feeds_;
  const TranscoderOptions options_;
  RequestMetrics metrics_;
};

}  // namespace fabro::transcode
