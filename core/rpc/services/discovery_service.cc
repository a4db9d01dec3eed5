#include <filesystem>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/rpc/services/services.h"
#include "core/security/principal.h"
#include "fabro/v1/discovery.grpc.pb.h"

namespace fabro::rpc {
namespace {

// Prometheus text format 0.0.4.
class MetricsText {
 public:
  void Gauge(std::string_view name, std::string_view help) {
    text_ += StrCat("# HELP ", name, ' ', help, "\n# TYPE ", name, " gauge\n");
    name_ = name;
  }
  void Sample(std::int64_t value, std::string_view labels = "") {
    text_ += StrCat(name_, labels, ' ', value, '\n');
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

class DiscoveryService final : public v1::DiscoveryService::CallbackService {
 public:
  DiscoveryService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* GetRoot(grpc::CallbackServerContext* context, const v1::GetRootRequest* request,
                                    v1::RootResponse* response) override {
    return RunUnary(edge_, context, "GetRoot", *request,
                    [response](const CallContext&) { return Root(*response); });
  }
  grpc::ServerUnaryReactor* GetHealth(grpc::CallbackServerContext* context,
                                      const v1::GetHealthRequest* request,
                                      v1::HealthResponse* response) override {
    return RunUnary(edge_, context, "GetHealth", *request,
                    [response](const CallContext&) { return Well(*response); });
  }
  grpc::ServerUnaryReactor* GetLiveness(grpc::CallbackServerContext* context,
                                        const v1::GetLivenessRequest* request,
                                        v1::HealthResponse* response) override {
    return RunUnary(edge_, context, "GetLiveness", *request,
                    [response](const CallContext&) { return Well(*response); });
  }
  grpc::ServerUnaryReactor* GetReadiness(grpc::CallbackServerContext* context,
                                         const v1::GetReadinessRequest* request,
                                         v1::ReadinessResponse* response) override {
    return RunUnary(edge_, context, "GetReadiness", *request,
                    [this, response](const CallContext&) { return Ready(*response); });
  }
  grpc::ServerUnaryReactor* GetUser(grpc::CallbackServerContext* context, const v1::GetUserRequest* request,
                                    v1::UserResponse* response) override {
    return RunUnary(edge_, context, "GetUser", *request,
                    [response](const CallContext& call) { return User(call, *response); });
  }
  grpc::ServerUnaryReactor* GetMetrics(grpc::CallbackServerContext* context,
                                       const v1::GetMetricsRequest* request,
                                       v1::GetMetricsResponse* response) override {
    return RunUnary(edge_, context, "GetMetrics", *request,
                    [this, response](const CallContext&) { return Metrics(*response); });
  }

 private:
  static Task<absl::Status> Root(v1::RootResponse& response) {
    response.mutable_urls()->set_openapi_url("/openapi.json");
    response.mutable_urls()->set_current_user_url("/user");
    response.mutable_urls()->set_health_url("/health");
    co_return absl::OkStatus();
  }

  static Task<absl::Status> Well(v1::HealthResponse& response) {
    response.set_status("ok");
    co_return absl::OkStatus();
  }

  static Task<absl::Status> User(const CallContext& call, v1::UserResponse& response) {
    response.set_login(security::Principal::Parse(call.principal).name);
    co_return absl::OkStatus();
  }

  Task<absl::Status> Ready(v1::ReadinessResponse& response) {
    const std::vector<ReadinessCheck> checks = co_await backend_.readiness.Look();
    std::string failing;
    for (const ReadinessCheck& check : checks) {
      auto* out = response.add_checks();
      out->set_name(check.name);
      out->set_ok(check.ok);
      if (!check.detail.empty()) out->set_detail(check.detail);
      if (!check.ok)
        failing +=
            StrCat(failing.empty() ? "" : "; ", check.name, check.detail.empty() ? "" : ": ", check.detail);
    }
    if (!failing.empty())
      co_return Unavailable(Reason::kStorageFailed, "", StrCat("Not ready: ", failing, '.'));
    response.set_status("ok");
    co_return absl::OkStatus();
  }

  Task<absl::Status> Metrics(v1::GetMetricsResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::StatusCounts runs, co_await backend_.store.CountByStatus());
    const scheduler::Admission::Counts slots = backend_.admission.counts();
    MetricsText text;
    text.Gauge("fabro_runs", "Runs in the database by status.");
    for (const RunStatus status : kAllRunStatuses) {
      text.Sample(runs[static_cast<std::size_t>(status)], StrCat("{status=\"", ToString(status), "\"}"));
    }
    text.Gauge("fabro_slots", "Runs that may be active at once.");
    text.Sample(static_cast<std::int64_t>(slots.slots));
    text.Gauge("fabro_slots_held", "Runs that are active.");
    text.Sample(static_cast<std::int64_t>(slots.held));
    text.Gauge("fabro_queue_length", "Runs that wait for a slot.");
    text.Sample(static_cast<std::int64_t>(slots.waiting_new), "{kind=\"new\"}");
    text.Sample(static_cast<std::int64_t>(slots.waiting_resumable), "{kind=\"resumable\"}");
    text.Gauge("fabro_actors", "Runs held in memory.");
    text.Sample(static_cast<std::int64_t>(backend_.supervisor.actor_count()));
    text.Gauge("fabro_watched_runs", "Runs whose events somebody follows.");
    text.Sample(static_cast<std::int64_t>(backend_.hub.watched_runs()));
    response.set_text(text.Take());
    co_return absl::OkStatus();
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDiscoveryService(const Edge& edge, const Backend& backend) {
  return std::make_unique<DiscoveryService>(edge, backend);
}

}  // namespace fabro::rpc
