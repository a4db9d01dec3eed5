#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/run_retro.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/retro.grpc.pb.h"

namespace fabro::rpc {
namespace {

// ListRetros is not built: UNIMPLEMENTED.
class RetroService final : public v1::RetroService::CallbackService {
 public:
  RetroService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* RetrieveRetro(grpc::CallbackServerContext* context,
                                          const v1::RetrieveRetroRequest* request,
                                          v1::RetrieveRetroResponse* response) override {
    return RunUnary(edge_, context, "RetrieveRetro", *request, [this, request, response](const CallContext&) {
      return HandleRetro(*request, *response);
    });
  }

 private:
  Task<absl::Status> HandleRetro(const v1::RetrieveRetroRequest& request,
                                 v1::RetrieveRetroResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    if (!backend_.config()->retros) {
      co_return NotFound(Reason::kNotFound, request.id(),
                         "Retros are switched off on this server. Set features.retros = true.");
    }
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
