#include "gateway/transcode/transcoder.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/base/trace_context.h"
#include "gateway/json/encode.h"
#include "gateway/route/binding.h"
#include "gateway/transcode/status_map.h"

namespace fabro::transcode {
namespace {

using google::protobuf::Arena;
using google::protobuf::Message;
using route::Route;

constexpr std::string_view kOpenApiMethod = "/fabro.v1.DiscoveryService/GetOpenApiSpec";
// Of this process and nothing else: a gateway is not to be restarted because its core is down.
constexpr std::string_view kLivenessMethod = "/fabro.v1.DiscoveryService/GetLiveness";
constexpr char kAlive[] = R"({"status":"ok"})";
constexpr std::string_view kMetricsMethod = "/fabro.v1.DiscoveryService/GetMetrics";
// Whoever asks whether we live is answered, or a supervisor would end what is only busy.
constexpr std::string_view kProbes[] = {"/fabro.v1.DiscoveryService/GetHealth",
                                        "/fabro.v1.DiscoveryService/GetLiveness",
                                        "/fabro.v1.DiscoveryService/GetReadiness"};
constexpr char kJsonType[] = "application/json";
constexpr char kEventStreamType[] = "text/event-stream";
constexpr char kCorsHeaders[] =
    "Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id";
constexpr char kCorsExposed[] = "Location, Retry-After, X-Request-Id, X-Total-Count";

std::string_view HeaderOr(const http::Request& request, std::string_view name) {
  return request.Find(name).value_or(std::string_view());
}

auth::Caller CallerOf(const http::Request& request) {
  auth::Caller caller;
  caller.host = request.authority;
  caller.origin = HeaderOr(request, "origin");
  caller.authorization = HeaderOr(request, "authorization");
  // Of two, which one counts? Others on the way may have looked at the other one.
  const auto is_authorization = [](const http::Header& header) { return header.name == "authorization"; };
  if (std::ranges::count_if(request.headers, is_authorization) > 1) caller.authorization = "Bearer";
  caller.certificate = request.certificate.get();
  caller.peer = request.peer;
  caller.request_id = request.id;
  return caller;
}

// What a client says of its trace goes on to the core; anything else is dropped.
std::string TraceparentOf(const http::Request& request) {
  const std::string_view text = HeaderOr(request, "traceparent");
  return IsTraceparent(text) ? std::string(text) : std::string();
}

// application/json or application/anything+json, with any parameters; absent is fine.
bool IsJson(std::string_view content_type) {
  const std::string type = ToLower(Trim(content_type.substr(0, content_type.find(';'))));
  return type.empty() || type == kJsonType || (type.starts_with("application/") && type.ends_with("+json"));
}

http::Response MethodNotAllowed(const http::Request& request, std::string_view allow) {
  http::Response response =
      http::ErrorResponse(405, StrCat(request.verb, " is not possible here; allowed: ", allow, "."));
  response.headers.push_back({"Allow", std::string(allow)});
  return response;
}

absl::Status BindRequest(const Route& route, const http::Request& request, const route::Match& match,
                         const json::Document* document, Message* message) {
  route::RequestParts parts;
  parts.variables = match.variables;
  parts.query = request.query();
  parts.header = [&request](std::string_view name) { return request.Find(ToLower(name)); };
  parts.body = document;
  return route::Bind(route, parts, message);
}

const Message& HolderOf(const route::FieldPath& path, const Message& message) {
  const Message* holder = &message;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    holder = &holder->GetReflection()->GetMessage(*holder, path[i]->field);
  }
  return *holder;
}

Task<absl::Status> SendFrames(std::shared_ptr<FeedReader> reader, http::BodyWriter& writer) {
  while (true) {
    // Between two awaits only, so one list a thread will do.
    thread_local std::vector<http::Piece> frames;
    frames.clear();
    const absl::StatusOr<FeedReader::State> state = reader->Poll(frames);
    if (!state.ok()) co_return state.status();
    if (*state == FeedReader::State::kEnd) co_return absl::OkStatus();
    absl::Status waited;
    if (*state == FeedReader::State::kWait) {
      waited = co_await reader->Wait();
    } else {
      const absl::StatusOr<bool> taken = writer.TryWrite(frames);
      frames.clear();
      if (!taken.ok()) co_return taken.status();
      if (!*taken) waited = co_await writer.Flush();
    }
    if (!waited.ok()) co_return waited;
  }
}

}  // namespace

Transcoder::Transcoder(const route::RouteTable& routes, const auth::Authenticator& authenticator,
                       upstream::Upstream& upstream, FeedHub& feeds, TranscoderOptions options)
    : routes_(routes),
      authenticator_(authenticator),
      upstream_(upstream),
      feeds_(feeds),
      options_(std::move(options)),
      metrics_(routes) {}

Task<http::Response> Transcoder::Handle(http::Request request) {
  const auto begun = std::chrono::steady_clock::now();
  Facts facts;
  http::Response response = co_await Answer(request, &facts);
  metrics_.Count(facts.route, response.status, std::chrono::steady_clock::now() - begun);
  AddCors(request, response);
  response.principal = std::move(facts.principal);
  co_return response;
}

// The order of these checks is part of the API: route, credentials, syntax, and then what the core says.
Task<http::Response> Transcoder::Answer(const http::Request& request, Facts* facts) {
  const auth::Caller caller = CallerOf(request);
  const absl::StatusOr<route::Match> match = routes_.Find(request.verb, request.path());
  const bool answers = match.ok() && match->endpoint != nullptr && request.verb != "OPTIONS";
  if (!answers) {  // nothing that needs credentials, so it counts for the address
    const absl::Status within = LimitAddress(caller);
    if (!within.ok()) co_return ToResponse(within, request.id);
  }
  if (request.target == "*") co_return AnswerOptions(request, "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  if (!match.ok()) co_return ToResponse(match.status(), request.id);
  if (!match->path_known())
    co_return http::ErrorResponse(404, StrCat("There is nothing at ", request.path(), "."));

  const absl::Status admitted = authenticator_.Admit(caller);
  if (!admitted.ok()) co_return ToResponse(admitted, request.id);
  if (request.verb == "OPTIONS") co_return AnswerOptions(request, match->allow);
  if (match->endpoint == nullptr) co_return MethodNotAllowed(request, match->allow);
  const route::Endpoint& endpoint = *match->endpoint;
  facts->route = endpoint.routes().back().get();
  const std::string& method = facts->route->grpc_path;
  if (endpoint.open() || (options_.metrics_open && method == kMetricsMethod)) {
    const bool is_probe = std::ranges::find(kProbes, method) != std::ranges::end(kProbes);
    const absl::Status within = is_probe ? absl::OkStatus() : LimitAddress(caller);
    if (!within.ok()) co_return ToResponse(within, request.id);
  } else {
    absl::StatusOr<std::string> identified = Identify(caller);
    if (!identified.ok()) co_return ToResponse(identified.status(), request.id);
    facts->principal = *std::move(identified);
  }

  std::optional<json::Document> document;
  if (endpoint.has_body() && !request.body.empty()) {
    if (!IsJson(HeaderOr(request, "content-type"))) {
      co_return http::ErrorResponse(415, "The body's Content-Type must be application/json.");
    }
    absl::StatusOr<json::Document> parsed = json::Document::Parse(request.body);
    if (!parsed.ok()) co_return ToResponse(parsed.status(), request.id);
    document = *std::move(parsed);
  }
  const json::Document* body = document ? &*document : nullptr;
  const Route& route = endpoint.Choose(HeaderOr(request, "accept"), body);
  facts->route = &route;
  if (route.grpc_path == kOpenApiMethod && options_.openapi) {
    http::Response response;
    response.headers.push_back({"Content-Type", kJsonType});
    response.shared_body = options_.openapi();
    co_return response;
  }
  if (route.grpc_path == kLivenessMethod) {
    http::Response response;
    response.headers.push_back({"Content-Type", kJsonType});
    response.body = kAlive;
    co_return response;
  }

  Arena arena;
  Message* message = route.input->prototype->New(&arena);
  const absl::Status bound = BindRequest(route, request, *match, body, message);
  if (!bound.ok()) co_return ToResponse(bound, request.id);
  if (route.is_stream) co_return co_await Stream(route, *message, request, facts->principal);
  co_return co_await Call(route, *message, request, facts->principal);
}

absl::StatusOr<std::string> Transcoder::Identify(auth::Caller caller) const {
  auth::RateLimiter* const limiter = options_.limiter;
  if (limiter == nullptr) return authenticator_.Authenticate(caller);
  caller.only_known = limiter->IsSpent(caller.peer);
  absl::StatusOr<std::string> principal = authenticator_.Authenticate(caller);
  const absl::Status within =
      principal.ok() ? limiter->TakeFor(*principal) : limiter->TakeForAddress(caller.peer);
  if (!within.ok()) return within;
  return principal;
}

absl::Status Transcoder::LimitAddress(const auth::Caller& caller) const {
  return options_.limiter == nullptr ? absl::OkStatus() : options_.limiter->TakeForAddress(caller.peer);
}

Task<http::Response> Transcoder::Call(const Route& route, const Message& message,
                                      const http::Request& request, std::string principal) {
  upstream::CallOptions options;
  options.principal = std::move(principal);
  options.request_id = request.id;
  options.traceparent = TraceparentOf(request);
  options.deadline = Deadline::In(route.timeout);
  Message* answer = route.output->prototype->New(message.GetArena());
  const absl::Status status = co_await upstream_.Call(route.grpc_path, message, answer, std::move(options));
  const bool is_metrics = route.grpc_path == kMetricsMethod;
  if (!status.ok() && !(is_metrics && absl::IsUnavailable(status))) co_return ToResponse(status, request.id);
  http::Response response = Render(route, *answer);
  if (is_metrics) AddMetrics(status.ok(), response);
  co_return response;
}

Task<http::Response> Transcoder::Stream(const Route& route, const Message& message,
                                        const http::Request& request, std::string principal) {
  upstream::CallOptions options;
  options.principal = std::move(principal);
  options.request_id = request.id;
  absl::StatusOr<std::shared_ptr<FeedReader>> reader =
      co_await feeds_.Open(route, message, std::move(options));
  if (!reader.ok()) co_return ToResponse(reader.status(), request.id);
  http::Response response;
  response.headers.push_back({"Content-Type", kEventStreamType});
  response.headers.push_back({"Cache-Control", "no-store"});
  response.headers.push_back({"X-Accel-Buffering", "no"});
  response.stream = [reader = *std::move(reader)](http::BodyWriter& writer) {
    return SendFrames(reader, writer);
  };
  co_return response;
}

void Transcoder::AddMetrics(bool core_answers, http::Response& response) const {
  metrics::Text text;
  text.Family("fabro_core_up", "gauge", "Whether the gateway's core answers.");
  text.Sample(std::uint64_t{core_answers ? 1U : 0U});
  metrics_.Write(text);
  if (options_.more_metrics) options_.more_metrics(text);
  response.body += text.Take();
}

http::Response Transcoder::Render(const Route& route, const Message& message) const {
  http::Response response;
  response.status = route.success;
  for (const route::Parameter& header : route.response_headers) {
    std::string value;
    json::AppendText(header.leaf(), HolderOf(header.field, message), value);
    if (!value.empty()) response.headers.push_back({header.name, std::move(value)});
  }
  if (route.location) {
    response.headers.push_back({"Location", options_.base_url + route.Location(message)});
  }
  if (!route.has_response_body()) return response;
  if (!route.content_type.empty()) {
    response.headers.push_back({"Content-Type", route.content_type});
    response.body = message.GetReflection()->GetString(message, route.response_body->field);
    return response;
  }
  response.headers.push_back({"Content-Type", kJsonType});
  if (route.response_body != nullptr) {
    json::EncodeField(*route.response_body, message, response.body);
  } else {
    json::Encode(*route.output, message, response.body);
  }
  return response;
}

http::Response Transcoder::AnswerOptions(const http::Request& request, std::string_view allow) const {
  if (request.verb != "OPTIONS") return MethodNotAllowed(request, "OPTIONS");
  http::Response response;
  response.status = 204;
  response.headers.push_back({"Allow", std::string(allow)});
  if (IsCorsOrigin(HeaderOr(request, "origin")) && request.Find("access-control-request-method")) {
    response.headers.push_back({"Access-Control-Allow-Methods", std::string(allow)});
    response.headers.push_back({"Access-Control-Allow-Headers", kCorsHeaders});
    response.headers.push_back({"Access-Control-Max-Age", "600"});
  }
  return response;
}

void Transcoder::AddCors(const http::Request& request, http::Response& response) const {
  if (options_.cors_origins.empty()) return;
  response.headers.push_back({"Vary", "Origin"});
  const std::string_view origin = HeaderOr(request, "origin");
  if (!IsCorsOrigin(origin)) return;
  response.headers.push_back({"Access-Control-Allow-Origin", std::string(origin)});
  response.headers.push_back({"Access-Control-Expose-Headers", kCorsExposed});
}

bool Transcoder::IsCorsOrigin(std::string_view origin) const {
  return !origin.empty() && std::ranges::find(options_.cors_origins, origin) != options_.cors_origins.end();
}

}  // namespace fabro::transcode
