#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/run_retro.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/retro.grpc.pb.h"

namespace fabro::rpc {
namespace {

class RetroService final : public v1::RetroService::CallbackService {
 public:
  RetroService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* ListRetros(grpc::CallbackServerContext* context,
                                       const v1::ListRetrosRequest* request,
                                       v1::PaginatedRetroList* response) override {
    return RunUnary(edge_, context, "ListRetros", *request, [this, request, response](const CallContext&) {
      return HandleList(*request, *response);
    });
  }
  grpc::ServerUnaryReactor* RetrieveRetro(grpc::CallbackServerContext* context,
                                          const v1::RetrieveRetroRequest* request,
                                          v1::RetrieveRetroResponse* response) override {
    return RunUnary(edge_, context, "RetrieveRetro", *request, [this, request, response](const CallContext&) {
      return HandleRetro(*request, *response);
    });
  }

 private:
  absl::Status CheckSwitchedOn(std::string_view resource) {
    if (backend_.config()->retros) return absl::OkStatus();
    return NotFound(Reason::kNotFound, resource,
                    "Retros are switched off on this server. Set features.retros = true.");
  }

  Task<absl::Status> HandleList(const v1::ListRetrosRequest& request, v1::PaginatedRetroList& response) {
    FABRO_CO_RETURN_IF_ERROR(CheckSwitchedOn(""));
    storage::RetroFilter filter{.workflow_slug = request.workflow(), .smoothness = std::nullopt};
    if (request.has_smoothness()) filter.smoothness = static_cast<Smoothness>(request.smoothness());
    const Page page = PageOf(request);
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RetroPage found,
                              co_await backend_.store.ListRetros(std::move(filter), page.limit, page.offset));
    for (const storage::Retro& retro : found.retros) Put(retro, response.add_data());
    response.mutable_meta()->set_has_more(found.has_more);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleRetro(const v1::RetrieveRetroRequest& request,
                                 v1::RetrieveRetroResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    FABRO_CO_RETURN_IF_ERROR(CheckSwitchedOn(request.id()));
    FABRO_CO_ASSIGN_OR_RETURN(runtime::LoadedRun run, co_await backend_.supervisor.Read(row.id));
    if (!IsTerminal(run.machine.status())) co_return absl::OkStatus();  // there is none yet
    co_return co_await TellRetro(backend_.store, std::move(run), *response.mutable_retro());
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRetroService(const Edge& edge, const Backend& backend) {
  return std::make_unique<RetroService>(edge, backend);
}

}  // namespace fabro::rpc
