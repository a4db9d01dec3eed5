#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/rpc/audit.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/graph_svg.h"
#include "core/rpc/services/run_history.h"
#include "core/rpc/services/services.h"
#include "core/runtime/run_settings.h"
#include "core/security/digest.h"
#include "core/workflow/load.h"
#include "fabro/v1/run.grpc.pb.h"

namespace fabro::rpc {
namespace {

using runtime::InvalidField;

constexpr std::chrono::hours kIdempotencyLife{24};
constexpr storage::ReadLimits kStreamRead{512, std::size_t{256} << 10};

// Equal requests give equal bytes.
std::string Canonical(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

std::string HashOf(const v1::StartRunRequest& request) {
  v1::StartRunRequest plain = request;
  plain.clear_idempotency_key();
  return security::Sha256Hex(Canonical(plain));
}

template <typename Map>
workflow::Variables VariablesOf(const Map& vars) {
  return workflow::Variables(vars.begin(), vars.end());
}

// A variable's name is an identifier, as it stands behind the `$`.
template <typename Map>
absl::Status CheckVariables(const Map& vars) {
  for (const auto& [name, value] : vars) {
    const bool good =
        !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
        std::all_of(name.begin(), name.end(), [](char c) {
          return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        });
    if (!good)
      return InvalidField(StrCat("vars.", TruncateUtf8(name, 40)), "must be named by letters, digits and _");
  }
  return absl::OkStatus();
}

// One answer with all that is wrong.
absl::Status Refusal(const std::vector<workflow::Diagnostic>& diagnostics) {
  return InvalidArgument(Reason::kGraphInvalid, "", workflow::JoinMessages(diagnostics));
}

std::optional<std::string> Optional(bool is_given, const std::string& text) {
  return is_given ? std::optional(text) : std::nullopt;
}

std::string TitleOf(const v1::StartRunRequest& request, const workflows::Registered& found) {
  if (request.has_title() && !request.title().empty()) return request.title();
  if (!found.config.title.empty()) return found.config.title;
  const workflow::Graph& graph = *found.graph;
  const std::string& title = !graph.goal.empty()    ? graph.goal
                             : !graph.label.empty() ? graph.label
                                                    : graph.name;
  return std::string(TruncateUtf8(title, 256));
}

class RunService final
    : public v1::RunService::WithRawCallbackMethod_StreamRunEvents<v1::RunService::CallbackService> {
 public:
  RunService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* StartRun(grpc::CallbackServerContext* context, const v1::StartRunRequest* request,
                                     v1::RunStatusResponse* response) override {
    return RunUnary(edge_, context, "StartRun", *request, [this, request, response](const CallContext& call) {
      return HandleStart(call, *request, *response);
    });
  }
  grpc::ServerUnaryReactor* ValidateRun(grpc::CallbackServerContext* context,
                                        const v1::ValidateRunRequest* request,
                                        v1::ValidateRunResponse* response) override {
    return RunUnary(edge_, context, "ValidateRun", *request, [this, request, response](const CallContext&) {
      return HandleValidate(*request, *response);
    });
  }
  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context, const v1::ListRunsRequest* request,
                                     v1::PaginatedRunList* response) override {
    return RunUnary(edge_, context, "ListRuns", *request, [this, request, response](const CallContext&) {
      return HandleList(*request, *response);
    });
  }
  grpc::ServerUnaryReactor* RetrieveRun(grpc::CallbackServerContext* context,
                                        const v1::RetrieveRunRequest* request,
                                        v1::RunStatusResponse* response) override {
    return RunUnary(edge_, context, "RetrieveRun", *request, [this, request, response](const CallContext&) {
      return HandleRetrieve(*request, *response);
    });
  }
  grpc::ServerUnaryReactor* DeleteRun(grpc::CallbackServerContext* context,
                                      const v1::DeleteRunRequest* request, v1::DeleteRunResponse*) override {
    return RunUnary(edge_, context, "DeleteRun", *request,
                    [this, request](const CallContext& call) { return HandleDelete(call, *request); });
  }
  grpc::ServerUnaryReactor* CancelRun(grpc::CallbackServerContext* context,
                                      const v1::CancelRunRequest* request,
                                      v1::RunStatusResponse* response) override {
    return Command<engine::Cancel>(context, "CancelRun", *request, response);
  }
  grpc::ServerUnaryReactor* PauseRun(grpc::CallbackServerContext* context, const v1::PauseRunRequest* request,
                                     v1::RunStatusResponse* response) override {
    return Command<engine::Pause>(context, "PauseRun", *request, response);
  }
  grpc::ServerUnaryReactor* UnpauseRun(grpc::CallbackServerContext* context,
                                       const v1::UnpauseRunRequest* request,
                                       v1::RunStatusResponse* response) override {
    return Command<engine::Unpause>(context, "UnpauseRun", *request, response);
  }
  grpc::ServerUnaryReactor* ListRunCheckpoints(grpc::CallbackServerContext* context,
                                               const v1::ListRunCheckpointsRequest* request,
                                               v1::PaginatedCheckpointList* response) override {
    return RunUnary(edge_, context, "ListRunCheckpoints", *request,
                    [this, request, response](const CallContext&) {
                      return ListCheckpoints(backend_, *request, *response);
                    });
  }
  grpc::ServerUnaryReactor* RewindRun(grpc::CallbackServerContext* context,
                                      const v1::RewindRunRequest* request,
                                      v1::RunStatusResponse* response) override {
    return RunUnary(edge_, context, "RewindRun", *request,
                    [this, request, response](const CallContext& call) {
                      return rpc::RewindRun(backend_, call, *request, *response);
                    });
  }
  grpc::ServerUnaryReactor* ForkRun(grpc::CallbackServerContext* context, const v1::ForkRunRequest* request,
                                    v1::RunStatusResponse* response) override {
    return RunUnary(edge_, context, "ForkRun", *request, [this, request, response](const CallContext& call) {
      return rpc::ForkRun(backend_, call, *request, *response);
    });
  }
  grpc::ServerUnaryReactor* RetrieveRunGraph(grpc::CallbackServerContext* context,
                                             const v1::RetrieveRunGraphRequest* request,
                                             v1::RetrieveRunGraphResponse* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunGraph", *request,
        [this, request, response](const CallContext&) { return HandleGraph(*request, *response); });
  }
  grpc::ServerUnaryReactor* ListRunEvents(grpc::CallbackServerContext* context,
                                          const v1::ListRunEventsRequest* request,
                                          v1::PaginatedEventList* response) override {
    return RunUnary(edge_, context, "ListRunEvents", *request, [this, request, response](const CallContext&) {
      return HandleListEvents(*request, *response);
    });
  }
  grpc::ServerWriteReactor<grpc::ByteBuffer>* StreamRunEvents(grpc::CallbackServerContext* context,
                                                              const grpc::ByteBuffer* bytes) override {
    auto request = std::make_shared<v1::StreamRunEventsRequest>();
    const absl::Status parsed = ParseRequest(*bytes, request.get());
    return RunStream(edge_, context, "StreamRunEvents", *request,
                     [this, parsed, request](const CallContext&, StreamWriter& writer) {
                       return HandleStream(parsed, request, writer);
                     });
  }

 private:
  template <typename Input, typename Request>
  grpc::ServerUnaryReactor* Command(grpc::CallbackServerContext* context, std::string_view method,
                                    const Request& request, v1::RunStatusResponse* response) {
    return RunUnary(edge_, context, method, request, [this, &request, response](const CallContext& call) {
      return HandleCommand(call, request.id(), engine::Input(Input{call.principal}), *response);
    });
  }

  Task<absl::Status> HandleCommand(const CallContext& call, std::string id, engine::Input input,
                                   v1::RunStatusResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, std::move(id)));
    storage::AppendAudit audit = AuditOf(call, backend_.clock.Now(), ResourceOf(row.id));
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow after,
                              co_await backend_.supervisor.Tell(row.id, std::move(input), std::move(audit)));
    Put(after, &response);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleStart(const CallContext& call, const v1::StartRunRequest& request,
                                 v1::RunStatusResponse& response) {
    const Timestamp now = backend_.clock.Now();
    std::optional<storage::PutIdempotent> idempotency;
    if (request.has_idempotency_key()) {
      idempotency.emplace();
      idempotency->principal = call.principal;
      idempotency->key = request.idempotency_key();
      idempotency->request_hash = HashOf(request);
      idempotency->now = now;
      idempotency->expires_at = now + kIdempotencyLife;
      FABRO_CO_ASSIGN_OR_RETURN(const bool answered, co_await AnswerAgain(*idempotency, response));
      if (answered) co_return absl::OkStatus();
    }
    FABRO_CO_RETURN_IF_ERROR(CheckVariables(request.vars()));
    FABRO_CO_ASSIGN_OR_RETURN(runtime::NewRun run, co_await MakeRun(call, request, now));
    FABRO_CO_RETURN_IF_ERROR(CheckQueue(backend_));
    // Said before the commit, because a repeated request must be given the same answer.
    storage::RunRow shown = run.row;
    shown.status = RunStatus::kQueued;
    shown.queue_position = static_cast<std::int64_t>(backend_.admission.counts().waiting_new) + 1;
    Put(shown, &response);
    if (idempotency) {
      idempotency->response = response.SerializeAsString();
      run.idempotency = idempotency;
    }
    const absl::StatusOr<storage::RunRow> created = co_await backend_.supervisor.Create(std::move(run));
    if (ReasonOf(created.status()) == Reason::kIdempotencyReuse && idempotency) {
      // The same request at the same moment came first.
      FABRO_CO_ASSIGN_OR_RETURN(const bool answered, co_await AnswerAgain(*idempotency, response));
      if (answered) co_return absl::OkStatus();
    }
    co_return created.status();
  }

  // True when the key has been used for this very request: the response is then the first one again.
  Task<absl::StatusOr<bool>> AnswerAgain(storage::PutIdempotent key, v1::RunStatusResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::optional<storage::IdempotentAnswer> known,
                              co_await backend_.store.GetIdempotent(key.principal, key.key));
    if (!known || known->expires_at <= key.now) co_return false;
    if (known->request_hash != key.request_hash) {
      co_return FailedPrecondition(Reason::kIdempotencyReuse, key.key,
                                   "This Idempotency-Key was used for another request; take a new one.");
    }
    if (!response.ParseFromString(known->response))
      co_return absl::DataLossError("a stored answer is unreadable");
    co_return true;
  }

  // The workflow that is asked for, with the server's variables below the caller's. Without a graph it is not
  // valid.
  Task<absl::StatusOr<workflows::Registered>> FindWorkflow(std::optional<std::string> slug,
                                                           std::optional<std::string> source,
                                                           workflows::Ask ask) {
    if (slug && source) co_return InvalidField("workflow", "and dot_source exclude each other");
    if (slug) co_return co_await backend_.workflows.Find(*std::move(slug), std::move(ask));
    if (!source) co_return InvalidField("dot_source", "is required");
    workflows::Registered found;
    found.variables = std::move(ask.defaults);
    for (const auto& [name, value] : ask.vars) found.variables.insert_or_assign(name, value);
    workflow::LoadOptions options;
    options.goal = std::move(ask.goal);
    workflow::LoadResult loaded = workflow::LoadWorkflow(*source, found.variables, options);
    found.source = *std::move(source);
    found.graph = std::move(loaded.graph);
    found.diagnostics = std::move(loaded.diagnostics);
    if (found.graph != nullptr) found.slug = found.graph->name;
    co_return found;
  }

  // The call and its request outlive the handler, which waits for this.
  Task<absl::StatusOr<runtime::NewRun>> MakeRun(const CallContext& call, const v1::StartRunRequest& request,
                                                Timestamp now) {
    const std::shared_ptr<const config::ServerConfig> config = backend_.config();
    FABRO_CO_ASSIGN_OR_RETURN(const config::RunOverrides over, runtime::OverridesOf(request.settings()));
    workflows::Ask ask{VariablesOf(config->vars), VariablesOf(request.vars()),
                       Optional(request.has_goal(), request.goal())};
    FABRO_CO_ASSIGN_OR_RETURN(
        const workflows::Registered found,
        co_await FindWorkflow(Optional(request.has_workflow(), request.workflow()),
                              Optional(request.has_dot_source(), request.dot_source()), std::move(ask)));
    if (found.graph == nullptr) co_return Refusal(found.diagnostics);
    config::RunSettings settings = config::Overlay(config::RunSettingsOf(*config), found.config.settings);
    settings = config::Overlay(std::move(settings), over);
    settings.graph = found.filename;
    for (const auto& [name, value] : config->vars) {
      const bool is_replaced =
          request.vars().contains(name) || (found.config.vars && found.config.vars->contains(name));
      if (!is_replaced) settings.hidden_vars.insert(name);
    }
    FABRO_CO_RETURN_IF_ERROR(runtime::CheckAllowed(settings, *config));
    FABRO_CO_RETURN_IF_ERROR(runtime::CheckExecutable(settings));

    const events::Redactor& redactor = backend_.redactor;
    runtime::NewRun run;
    storage::RunRow& row = run.row;
    row.id = backend_.run_ids.Next(now);
    row.created_at = now;
    row.goal = found.graph->goal;
    row.workflow_name = found.graph->name;
    row.workflow_slug = found.slug;
    row.title = redactor.Redact(TitleOf(request, found));
    row.created_by = call.principal;
    row.priority = request.has_priority() ? request.priority() : found.config.priority.value_or(0);
    std::map<std::string, std::string> labels = found.config.labels;
    for (const auto& [name, value] : request.labels()) labels[name] = value;
    for (const auto& [name, value] : labels) row.labels.emplace_back(name, redactor.Redact(value));
    run.audit = AuditOf(call, now, ResourceOf(row.id));
    run.graph = found.graph;
    run.settings = std::move(settings);
    run.source.source = found.source;
    run.source.traceparent = call.traceparent;
    run.source.vars_json = "{";
    for (const auto& [name, value] : found.variables) {
      if (run.source.vars_json.size() > 1) run.source.vars_json += ',';
      AppendJsonString(run.source.vars_json, name);
      run.source.vars_json += ':';
      AppendJsonString(run.source.vars_json, value);
    }
    run.source.vars_json += '}';
    co_return run;
  }

  Task<absl::Status> HandleValidate(const v1::ValidateRunRequest& request,
                                    v1::ValidateRunResponse& response) {
    FABRO_CO_RETURN_IF_ERROR(CheckVariables(request.vars()));
    workflows::Ask ask{VariablesOf(backend_.config()->vars), VariablesOf(request.vars()), std::nullopt};
    FABRO_CO_ASSIGN_OR_RETURN(
        const workflows::Registered found,
        co_await FindWorkflow(Optional(request.has_workflow(), request.workflow()),
                              Optional(request.has_dot_source(), request.dot_source()), std::move(ask)));
    response.set_valid(found.graph != nullptr);
    for (const workflow::Diagnostic& diagnostic : found.diagnostics)
      Put(diagnostic, response.add_diagnostics());
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleList(const v1::ListRunsRequest& request, v1::PaginatedRunList& response) {
    storage::RunFilter filter;
    if (request.has_filter_status()) {
      const std::string word = v1::RunStatus_Name(request.filter_status()).substr(sizeof("RUN_STATUS_") - 1);
      const auto status = ParseRunStatus(ToLower(word));
      if (!status) co_return InvalidField("filter[status]", "is no status");
      filter.statuses.push_back(*status);
    }
    filter.workflow_slug = request.filter_workflow();
    if (request.has_filter_parent()) {
      filter.parent = RunId::Parse(request.filter_parent());
      if (!filter.parent) co_return InvalidField("filter[parent]", "is no run's id");
    }
    filter.oldest_first = request.sort() == v1::RUN_SORT_CREATED_AT;
    const Page page = PageOf(request);
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunPage runs,
                              co_await backend_.store.ListRuns(std::move(filter), page.limit, page.offset));
    Put(runs, page, backend_.clock.Now(), &response);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleRetrieve(const v1::RetrieveRunRequest& request, v1::RunStatusResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    if (row.status == RunStatus::kQueued) row.queue_position = backend_.admission.QueuePosition(row.id);
    Put(row, &response);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleDelete(const CallContext& call, const v1::DeleteRunRequest& request) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    storage::AppendAudit audit = AuditOf(call, backend_.clock.Now(), ResourceOf(row.id));
    absl::Status deleted = co_await backend_.supervisor.Delete(row.id, std::move(audit));
    if (ReasonOf(deleted) == Reason::kRunActive) {
      co_return FailedPrecondition(Reason::kRunActive, request.id(), "Run has not ended; cancel it first.");
    }
    if (absl::IsNotFound(deleted)) co_return RunNotFound(request.id());
    co_return deleted;
  }

  Task<absl::Status> HandleGraph(const v1::RetrieveRunGraphRequest& request,
                                 v1::RetrieveRunGraphResponse& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await backend_.supervisor.Read(row.id));
    FABRO_CO_ASSIGN_OR_RETURN(*response.mutable_svg(),
                              co_await RenderSvg(backend_.host, backend_.work_dir, run.graph));
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleListEvents(const v1::ListRunEventsRequest& request,
                                      v1::PaginatedEventList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    const Page page = PageOf(request);
    const auto head = static_cast<std::int64_t>(ToUint(row.head));
    // Event ids have no gaps, so an offset is the id before the page.
    storage::ReadLimits limits;
    limits.records = static_cast<std::size_t>(page.limit);
    limits.bytes = std::size_t{16} << 20;
    const auto after = static_cast<EventSeq>(page.offset);
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::EventBytes> events,
                              co_await backend_.store.ReadEvents(row.id, after, limits));
    for (const storage::EventBytes& event : events) {
      if (!response.add_data()->ParseFromString(event.event))
        co_return absl::DataLossError("an event is unreadable");
    }
    response.mutable_meta()->set_has_more(page.offset + static_cast<std::int64_t>(events.size()) < head);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleStream(absl::Status parsed, std::shared_ptr<v1::StreamRunEventsRequest> request,
                                  StreamWriter& writer) {
    FABRO_CO_RETURN_IF_ERROR(parsed);
    FABRO_CO_ASSIGN_OR_RETURN(const RunId run, ParseRunId(request->id()));
    events::EventHub::Subscription subscription(backend_.hub, run);
    FABRO_CO_ASSIGN_OR_RETURN(storage::RunRow row, co_await FindRun(backend_.store, request->id()));
    EventSeq sent{request->after()};
    const bool resumes = request->has_after() && sent < row.head;
    if (IsTerminal(row.status) && !resumes) {
      co_return FailedPrecondition(Reason::kStreamClosed, request->id(), "Event stream closed.");
    }
    writer.Accept();
    while (true) {
      FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::EventBytes> events,
                                co_await backend_.store.ReadEvents(run, sent, kStreamRead));
      for (const storage::EventBytes& event : events) {
        FABRO_CO_RETURN_IF_ERROR(co_await writer.Write(event.event));
        sent = event.seq;
      }
      if (!events.empty()) continue;
      // Nothing after `sent`: over when the run is, else wait for more.
      FABRO_CO_ASSIGN_OR_RETURN(row, co_await FindRun(backend_.store, request->id()));
      if (IsTerminal(row.status) && sent >= row.head) co_return absl::OkStatus();
      if (sent < row.head) continue;
      if (backend_.is_draining())
        co_return Unavailable(Reason::kDraining, "", "The server is shutting down.");
      FABRO_CO_RETURN_IF_ERROR(co_await subscription.WaitPast(sent));
    }
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeRunService(const Edge& edge, const Backend& backend) {
  return std::make_unique<RunService>(edge, backend);
}

}  // namespace fabro::rpc
