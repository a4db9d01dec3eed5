#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/run_usage.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/output.grpc.pb.h"

namespace fabro::rpc {
namespace {

class OutputService final : public v1::RunOutputService::CallbackService {
 public:
  OutputService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* RetrieveRunFiles(grpc::CallbackServerContext* context,
                                             const v1::RetrieveRunFilesRequest* request,
                                             v1::PaginatedRunFileList* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunFiles", *request,
        [this, request, response](const CallContext&) { return HandleFiles(*request, *response); });
  }
  grpc::ServerUnaryReactor* RetrieveRunUsage(grpc::CallbackServerContext* context,
                                             const v1::RetrieveRunUsageRequest* request,
                                             v1::RunUsage* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunUsage", *request,
        [this, request, response](const CallContext&) { return HandleUsage(*request, *response); });
  }

 private:
  Task<absl::StatusOr<runtime::LoadedRun>> Read(std::string id) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, std::move(id)));
    co_return co_await backend_.supervisor.Read(row.id);
  }

  Task<absl::Status> HandleFiles(const v1::RetrieveRunFilesRequest& request,
                                 v1::PaginatedRunFileList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await Read(request.id()));
    const auto& prepared = run.machine.prepared();
    response.mutable_meta()->set_has_more(false);
    if (!prepared || prepared->repository.empty()) co_return absl::OkStatus();  // it works in no repository
    co_return Error(absl::StatusCode::kUnimplemented, Reason::kUnimplemented, "",
                    "This version cannot show what a run changed in a git repository.");
  }

  Task<absl::Status> HandleUsage(const v1::RetrieveRunUsageRequest& request, v1::RunUsage& response) {
    FABRO_CO_ASSIGN_OR_RETURN(runtime::LoadedRun run, co_await Read(request.id()));
    co_return co_await TellUsage(backend_.store, std::move(run), response);
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeOutputService(const Edge& edge, const Backend& backend) {
  return std::make_unique<OutputService>(edge, backend);
}

}  // namespace fabro::rpc
