#include <algorithm>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/services.h"
#include "core/runtime/run_settings.h"
#include "fabro/v1/workflow.grpc.pb.h"

namespace fabro::rpc {
namespace {

class WorkflowService final : public v1::WorkflowService::CallbackService {
 public:
  WorkflowService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* ListWorkflows(grpc::CallbackServerContext* context,
                                          const v1::ListWorkflowsRequest* request,
                                          v1::PaginatedWorkflowList* response) override {
    return RunUnary(edge_, context, "ListWorkflows", *request, [this, request, response](const CallContext&) {
      return HandleList(*request, *response);
    });
  }
  grpc::ServerUnaryReactor* RetrieveWorkflow(grpc::CallbackServerContext* context,
                                             const v1::RetrieveWorkflowRequest* request,
                                             v1::WorkflowDetail* response) override {
    return RunUnary(
        edge_, context, "RetrieveWorkflow", *request,
        [this, request, response](const CallContext&) { return HandleRetrieve(*request, *response); });
  }
  grpc::ServerUnaryReactor* ListWorkflowRuns(grpc::CallbackServerContext* context,
                                             const v1::ListWorkflowRunsRequest* request,
                                             v1::PaginatedRunList* response) override {
    return RunUnary(
        edge_, context, "ListWorkflowRuns", *request,
        [this, request, response](const CallContext&) { return HandleRuns(*request, *response); });
  }

 private:
  static workflow::Variables DefaultsOf(const config::ServerConfig& config) {
    return {config.vars.begin(), config.vars.end()};
  }

  Task<absl::Status> HandleList(const v1::ListWorkflowsRequest& request,
                                v1::PaginatedWorkflowList& response) {
    workflow::Variables defaults = DefaultsOf(*backend_.config());
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<workflows::Summary> all,
                              co_await backend_.workflows.List(std::move(defaults)));
    const Page page = PageOf(request);
    const auto size = static_cast<std::int64_t>(all.size());
    for (std::int64_t i = page.offset; i < size && i < page.offset + page.limit; ++i) {
      FABRO_CO_RETURN_IF_ERROR(co_await PutItem(all[static_cast<std::size_t>(i)], response.add_data()));
    }
    response.mutable_meta()->set_has_more(page.offset + page.limit < size);
    co_return absl::OkStatus();
  }

  Task<absl::Status> PutItem(workflows::Summary workflow, v1::WorkflowListItem* out) {
    out->set_name(workflow.name);
    out->set_slug(workflow.slug);
    out->set_filename(workflow.filename);
    out->set_valid(workflow.valid);
    for (const workflow::Diagnostic& diagnostic : workflow.diagnostics)
      Put(diagnostic, out->add_diagnostics());
    storage::RunFilter filter;
    filter.workflow_slug = workflow.slug;
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunPage last,
                              co_await backend_.store.ListRuns(std::move(filter), 1, 0));
    if (!last.rows.empty()) Put(last.rows[0].created_at, out->mutable_last_run()->mutable_ran_at());
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleRetrieve(const v1::RetrieveWorkflowRequest& request,
                                    v1::WorkflowDetail& response) {
    const std::shared_ptr<const config::ServerConfig> config = backend_.config();
    workflows::Ask ask;
    ask.defaults = DefaultsOf(*config);
    FABRO_CO_ASSIGN_OR_RETURN(const workflows::Registered found,
                              co_await backend_.workflows.Find(request.name(), std::move(ask)));
    response.set_name(found.name);
    response.set_slug(found.slug);
    response.set_filename(found.filename);
    response.set_description(found.description);
    response.set_graph(found.text);
    response.set_valid(found.graph != nullptr);
    for (const workflow::Diagnostic& diagnostic : found.diagnostics)
      Put(diagnostic, response.add_diagnostics());
    config::RunSettings settings = config::Overlay(config::RunSettingsOf(*config), found.config.settings);
    settings.graph = found.filename;
    v1::RunSettings* shown = response.mutable_settings();
    runtime::Put(settings, shown);
    runtime::MaskSecrets(shown);
    if (found.graph != nullptr && !found.graph->goal.empty()) shown->set_goal(found.graph->goal);
    for (const auto& [name, value] : found.config.labels) (*shown->mutable_labels())[name] = value;
    for (const auto& [name, value] : found.variables) {
      const bool is_server_s = !found.config.vars || !found.config.vars->contains(name);
      (*shown->mutable_vars())[name] = is_server_s ? runtime::kMask : backend_.redactor.Redact(value);
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleRuns(const v1::ListWorkflowRunsRequest& request, v1::PaginatedRunList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const workflows::Registered found,
                              co_await backend_.workflows.Find(request.name(), workflows::Ask()));
    storage::RunFilter filter;
    filter.workflow_slug = found.slug;
    const Page page = PageOf(request);
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunPage runs,
                              co_await backend_.store.ListRuns(std::move(filter), page.limit, page.offset));
    Put(runs, page, backend_.clock.Now(), &response);
    co_return absl::OkStatus();
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeWorkflowService(const Edge& edge, const Backend& backend) {
  return std::make_unique<WorkflowService>(edge, backend);
}

}  // namespace fabro::rpc
