#include <filesystem>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/rpc/services/services.h"
#include "core/security/principal.h"
#include "fabro/v1/discovery.grpc.pb.h"

namespace fabro::rpc {
namespace {

// Of a file; 0 when it is not there.
std::uint64_t SizeOf(const std::string& path) {
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  return failed ? 0 : size;
}

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
    metrics::Text text;
    text.Family("fabro_runs", "gauge", "Runs in the database by status.");
    for (const RunStatus status : kAllRunStatuses) {
      text.Sample(static_cast<std::uint64_t>(runs[static_cast<std::size_t>(status)]),
                  StrCat("status=\"", ToString(status), '"'));
    }
    text.Family("fabro_slots", "gauge", "Runs that may be active at once.");
    text.Sample(std::uint64_t{slots.slots});
    text.Family("fabro_slots_held", "gauge", "Runs that are active.");
    text.Sample(std::uint64_t{slots.held});
    text.Family("fabro_queue_length", "gauge", "Runs that wait for a slot.");
    text.Sample(std::uint64_t{slots.waiting_new}, "kind=\"new\"");
    text.Sample(std::uint64_t{slots.waiting_resumable}, "kind=\"resumable\"");
    text.Family("fabro_actors", "gauge", "Runs held in memory.");
    text.Sample(std::uint64_t{backend_.supervisor.actor_count()});
    text.Family("fabro_watched_runs", "gauge", "Runs whose events somebody follows.");
    text.Sample(std::uint64_t{backend_.hub.watched_runs()});
    backend_.calls.Write(text);
    WriteStore(text);
    text.AddProcess("process");
    response.set_text(text.Take());
    co_return absl::OkStatus();
  }

  void WriteStore(metrics::Text& text) const {
    const storage::CommitMetrics& commits = backend_.store.commit_metrics();
    text.Family("fabro_store_commits_total", "counter", "Changes that were committed.");
    text.Sample(commits.batches.value());
    text.Family("fabro_store_commit_group_duration_seconds", "histogram",
                "How long transactions took; each holds all changes that waited.");
    text.Sample(commits.groups);
    text.Family("fabro_store_events_total", "counter", "Events that were written.");
    text.Sample(commits.records.value());
    text.Family("fabro_store_failed_transactions_total", "counter",
                "Transactions that could not be committed.");
    text.Sample(commits.failures.value());
    text.Family("fabro_store_writable", "gauge", "0 while the database cannot be written.");
    text.Sample(std::uint64_t{backend_.store.WritesFail() ? 0U : 1U});
    if (backend_.database_path.empty()) return;
    text.Family("fabro_store_size_bytes", "gauge", "The files of the database.");
    text.Sample(SizeOf(backend_.database_path), "file=\"database\"");
    text.Sample(SizeOf(backend_.database_path + "-wal"), "file=\"log\"");
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDiscoveryService(const Edge& edge, const Backend& backend) {
  return std::make_unique<DiscoveryService>(edge, backend);
}

}  // namespace fabro::rpc
