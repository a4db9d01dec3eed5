#include "core/base/status_macros.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/usage.grpc.pb.h"

namespace fabro::rpc {
namespace {

class UsageService final : public v1::UsageService::CallbackService {
 public:
  UsageService(const Edge& edge, const Backend& backend) : edge_(edge), store_(backend.store) {}

  grpc::ServerUnaryReactor* GetAggregateUsage(grpc::CallbackServerContext* context,
                                              const v1::GetAggregateUsageRequest* request,
                                              v1::AggregateUsage* response) override {
    return RunUnary(edge_, context, "GetAggregateUsage", *request,
                    [this, response](const CallContext&) { return HandleGet(*response); });
  }

 private:
  Task<absl::Status> HandleGet(v1::AggregateUsage& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::Usage usage, co_await store_.GetUsage());
    v1::AggregateUsageTotals& totals = *response.mutable_totals();
    totals.set_runs(usage.runs);
    totals.set_runtime_secs(static_cast<double>(usage.runtime.count()) / 1000);
    std::int64_t cost_nanos = 0;
    for (const auto& [name, use] : usage.models) {
      v1::UsageByModel& model = *response.add_by_model();
      model.mutable_model()->set_id(name);
      model.set_stages(use.stages);
      model.mutable_usage()->set_input_tokens(use.input_tokens);
      model.mutable_usage()->set_output_tokens(use.output_tokens);
      model.mutable_usage()->set_cost(static_cast<double>(use.cost_nanos) / 1e9);
      totals.set_input_tokens(totals.input_tokens() + use.input_tokens);
      totals.set_output_tokens(totals.output_tokens() + use.output_tokens);
      cost_nanos += use.cost_nanos;
    }
    totals.set_cost(static_cast<double>(cost_nanos) / 1e9);
    co_return absl::OkStatus();
  }

  const Edge& edge_;
  storage::Store& store_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeUsageService(const Edge& edge, const Backend& backend) {
  return std::make_unique<UsageService>(edge, backend);
}

}  // namespace fabro::rpc
