#include <google/protobuf/util/json_util.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/engine/views.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/services.h"
#include "core/rpc/services/stage_turns.h"
#include "core/runtime/run_settings.h"
#include "fabro/v1/internals.grpc.pb.h"

namespace fabro::rpc {
namespace {

class RunInternalsService final : public v1::RunInternalsService::CallbackService {
 public:
  RunInternalsService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* RetrieveRunCheckpoint(grpc::CallbackServerContext* context,
                                                  const v1::RetrieveRunCheckpointRequest* request,
                                                  v1::RetrieveRunCheckpointResponse* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunCheckpoint", *request,
        [this, request, response](const CallContext&) { return HandleCheckpoint(*request, *response); });
  }
  grpc::ServerUnaryReactor* RetrieveRunContext(grpc::CallbackServerContext* context,
                                               const v1::RetrieveRunContextRequest* request,
                                               v1::RetrieveRunContextResponse* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunContext", *request,
        [this, request, response](const CallContext&) { return HandleContext(*request, *response); });
  }
  grpc::ServerUnaryReactor* ListRunStages(grpc::CallbackServerContext* context,
                                          const v1::ListRunStagesRequest* request,
                                          v1::PaginatedRunStageList* response) override {
    return RunUnary(edge_, context, "ListRunStages", *request, [this, request, response](const CallContext&) {
      return HandleStages(*request, *response);
    });
  }
  grpc::ServerUnaryReactor* ListStageTurns(grpc::CallbackServerContext* context,
                                           const v1::ListStageTurnsRequest* request,
                                           v1::PaginatedStageTurnList* response) override {
    return RunUnary(
        edge_, context, "ListStageTurns", *request,
        [this, request, response](const CallContext&) { return HandleTurns(*request, *response); });
  }
  grpc::ServerUnaryReactor* RetrieveRunSettings(grpc::CallbackServerContext* context,
                                                const v1::RetrieveRunSettingsRequest* request,
                                                v1::RunSettings* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunSettings", *request,
        [this, request, response](const CallContext&) { return HandleSettings(*request, *response); });
  }

 private:
  Task<absl::StatusOr<runtime::LoadedRun>> Read(std::string id) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, std::move(id)));
    co_return co_await backend_.supervisor.Read(row.id);
  }

  Task<absl::Status> HandleCheckpoint(const v1::RetrieveRunCheckpointRequest& request,
                                      v1::RetrieveRunCheckpointResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await Read(request.id()));
    const std::optional<engine::CheckpointView> checkpoint = run.machine.Checkpoint();
    if (!checkpoint) co_return absl::OkStatus();
    FABRO_CO_RETURN_IF_ERROR(Put(*checkpoint, response.mutable_checkpoint()));
    // The outcomes are the message's own JSON, keyed by node.
    google::protobuf::Struct outcomes;
    FABRO_CO_RETURN_IF_ERROR(PutJson(checkpoint->node_outcomes, &outcomes));
    co_return PutOutcomes(outcomes, response.mutable_checkpoint());
  }

  static absl::Status PutOutcomes(const google::protobuf::Struct& outcomes, v1::RunCheckpoint* checkpoint) {
    google::protobuf::util::JsonParseOptions lenient;
    lenient.ignore_unknown_fields = true;
    for (const auto& [node, value] : outcomes.fields()) {
      v1::NodeOutcome& outcome = (*checkpoint->mutable_node_outcomes())[node];
      google::protobuf::Struct fields = value.struct_value();
      // Enum words are ours, not protobuf's: `success`, not `OUTCOME_STATUS_SUCCESS`.
      const auto status = fields.mutable_fields()->find("status");
      if (status != fields.mutable_fields()->end()) {
        v1::OutcomeStatus parsed = v1::OUTCOME_STATUS_UNSPECIFIED;
        std::string name = "OUTCOME_STATUS_";
        for (const char c : status->second.string_value())
          name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
        if (v1::OutcomeStatus_Parse(name, &parsed)) outcome.set_status(parsed);
        fields.mutable_fields()->erase("status");
      }
      if (const auto failure = fields.mutable_fields()->find("failure");
          failure != fields.mutable_fields()->end()) {
        PutFailure(failure->second.struct_value(), outcome.mutable_failure());
        fields.mutable_fields()->erase("failure");
      }
      const v1::NodeOutcome head = outcome;
      std::string json;
      (void)google::protobuf::util::MessageToJsonString(fields, &json);
      if (!google::protobuf::util::JsonStringToMessage(json, &outcome, lenient).ok()) {
        return absl::DataLossError("a stored outcome is unreadable");
      }
      outcome.set_status(head.status());
      if (head.has_failure()) *outcome.mutable_failure() = head.failure();
    }
    return absl::OkStatus();
  }

  static void PutFailure(const google::protobuf::Struct& fields, v1::FailureDetail* out) {
    for (const auto& [key, value] : fields.fields()) {
      if (key == "message") out->set_message(value.string_value());
      if (key == "failure_signature") out->set_failure_signature(value.string_value());
      if (key != "failure_class") continue;
      std::string name = "FAILURE_CLASS_";
      for (const char c : value.string_value()) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
      v1::FailureClass parsed = v1::FAILURE_CLASS_UNSPECIFIED;
      if (v1::FailureClass_Parse(name, &parsed)) out->set_failure_class(parsed);
    }
  }

  Task<absl::Status> HandleContext(const v1::RetrieveRunContextRequest& request,
                                   v1::RetrieveRunContextResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await Read(request.id()));
    co_return PutJson(run.machine.ContextJson(), response.mutable_context());
  }

  Task<absl::Status> HandleStages(const v1::ListRunStagesRequest& request,
                                  v1::PaginatedRunStageList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await Read(request.id()));
    const Page page = PageOf(request);
    const std::vector<engine::StageView> stages = run.machine.Stages();
    const auto size = static_cast<std::int64_t>(stages.size());
    for (std::int64_t i = page.offset; i < size && i < page.offset + page.limit; ++i) {
      Put(stages[static_cast<std::size_t>(i)], response.add_data());
    }
    response.mutable_meta()->set_has_more(page.offset + page.limit < size);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleTurns(const v1::ListStageTurnsRequest& request,
                                 v1::PaginatedStageTurnList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(runtime::LoadedRun run, co_await Read(request.id()));
    FABRO_CO_ASSIGN_OR_RETURN(
        std::vector<v1::StageTurn> turns,
        co_await StageTurnsOf(backend_.store, backend_.redactor, std::move(run), request.stage_id()));
    const Page page = PageOf(request);
    const auto size = static_cast<std::int64_t>(turns.size());
    for (std::int64_t i = page.offset; i < size && i < page.offset + page.limit; ++i) {
      *response.add_data() = std::move(turns[static_cast<std::size_t>(i)]);
    }
    response.mutable_meta()->set_has_more(page.offset + page.limit < size);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleSettings(const v1::RetrieveRunSettingsRequest& request,
                                    v1::RunSettings& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunSource source, co_await backend_.store.GetRunSource(row.id));
    FABRO_CO_ASSIGN_OR_RETURN(const config::RunSettings settings,
                              runtime::SettingsFromJson(source.settings_json));
    runtime::Put(settings, &response);
    runtime::MaskSecrets(&response);
    google::protobuf::Struct vars;
    FABRO_CO_RETURN_IF_ERROR(PutJson(source.vars_json.empty() ? "{}" : source.vars_json, &vars));
    for (const auto& [name, value] : vars.fields()) {
      if (settings.hidden_vars.contains(name)) continue;
      (*response.mutable_vars())[name] = backend_.redactor.Redact(value.string_value());
    }
    if (!row.goal.empty()) response.set_goal(row.goal);
    for (const auto& [name, value] : row.labels) (*response.mutable_labels())[name] = value;
    response.set_simulated(row.simulated);
    co_return absl::OkStatus();
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRunInternalsService(const Edge& edge, const Backend& backend) {
  return std::make_unique<RunInternalsService>(edge, backend);
}

}  // namespace fabro::rpc
