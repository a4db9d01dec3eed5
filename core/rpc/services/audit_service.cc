#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/audit.grpc.pb.h"

namespace fabro::rpc {
namespace {

class AuditService final : public v1::AuditService::CallbackService {
 public:
  AuditService(const Edge& edge, const Backend& backend) : edge_(edge), store_(backend.store) {}

  grpc::ServerUnaryReactor* ListAuditEntries(grpc::CallbackServerContext* context,
                                             const v1::ListAuditEntriesRequest* request,
                                             v1::PaginatedAuditEntryList* response) override {
    return RunUnary(
        edge_, context, "ListAuditEntries", *request,
        [this, request, response](const CallContext&) { return HandleList(*request, *response); });
  }

 private:
  Task<absl::Status> HandleList(const v1::ListAuditEntriesRequest& request,
                                v1::PaginatedAuditEntryList& response) {
    storage::AuditFilter filter;
    filter.principal = request.filter_principal();
    filter.action = request.filter_action();
    filter.resource = request.filter_resource();
    const Page page = PageOf(request);
    FABRO_CO_ASSIGN_OR_RETURN(const storage::AuditPage found,
                              co_await store_.ListAudit(std::move(filter), page.limit, page.offset));
    for (const storage::AuditEntry& entry : found.entries) {
      v1::AuditEntry& out = *response.add_data();
      out.set_id(entry.id);
      Put(entry.what.at, out.mutable_timestamp());
      out.set_principal(entry.what.principal);
      out.set_action(entry.what.action);
      out.set_resource(entry.what.resource);
      out.set_outcome(entry.what.outcome);
      out.set_request_id(entry.what.request_id);
    }
    response.mutable_meta()->set_has_more(found.has_more);
    co_return absl::OkStatus();
  }

  const Edge& edge_;
  storage::Store& store_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuditService(const Edge& edge, const Backend& backend) {
  return std::make_unique<AuditService>(edge, backend);
}

}  // namespace fabro::rpc
