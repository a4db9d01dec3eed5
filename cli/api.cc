#include "cli/api.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

using Json = nlohmann::json;

constexpr int kMaxPage = 100;
constexpr int kMaxPages = 100;  // of stages and checkpoints: a run that loops may have many

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}
std::string Text(const Json& object, const char* key) {
  const Json* member = Member(object, key);
  return member != nullptr && member->is_string() ? member->get<std::string>() : std::string();
}
std::string TextIn(const Json& object, const char* key, const char* inner) {
  const Json* member = Member(object, key);
  return member == nullptr ? std::string() : Text(*member, inner);
}
std::optional<std::int64_t> Number(const Json& object, const char* key) {
  const Json* member = Member(object, key);
  if (member == nullptr || !member->is_number_integer()) return std::nullopt;
  return member->get<std::int64_t>();
}
bool Flag(const Json& object, const char* key) {
  const Json* member = Member(object, key);
  return member != nullptr && member->is_boolean() && member->get<bool>();
}

absl::StatusOr<Json> Parse(const std::string& body) {
  Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return Internal("the answer is no JSON; is this the address of a Fabro server? (--server)");
  }
  return json;
}

RunInfo AsRun(const Json& json) {
  RunInfo run;
  run.id = Text(json, "id");
  run.status = Text(json, "run_status");  // in lists `status` is a column of the board
  if (run.status.empty()) run.status = Text(json, "status");
  run.title = Text(json, "title");
  run.workflow = TextIn(json, "workflow", "slug");
  run.error = TextIn(json, "error", "message");
  run.question = TextIn(json, "question", "text");
  run.outcome = Text(json, "outcome");
  run.created_by = Text(json, "created_by");
  run.queue_position = Number(json, "queue_position");
  run.created_at = ParseRfc3339(Text(json, "created_at"));
  run.started_at = ParseRfc3339(Text(json, "started_at"));
  run.finished_at = ParseRfc3339(Text(json, "finished_at"));
  if (const Json* labels = Member(json, "labels"); labels != nullptr && labels->is_object()) {
    for (const auto& [name, value] : labels->items()) {
      if (value.is_string()) run.labels[name] = value.get<std::string>();
    }
  }
  run.json = Dump(json);
  return run;
}

Question AsQuestion(const Json& json) {
  Question question{.id = Text(json, "id"),
                    .text = Text(json, "text"),
                    .type = Text(json, "question_type"),
                    .allow_freeform = Flag(json, "allow_freeform"),
                    .stage = Text(json, "stage_id"),
                    .context = Text(json, "context"),
                    .default_choice = Text(json, "default_choice"),
                    .json = Dump(json)};
  if (const Json* options = Member(json, "options"); options != nullptr && options->is_array()) {
    for (const Json& option : *options)
      question.options.push_back({Text(option, "key"), Text(option, "label")});
  }
  return question;
}

StageInfo AsStage(const Json& json) {
  StageInfo stage{.id = Text(json, "id"), .name = Text(json, "name"), .status = Text(json, "status")};
  const Json* duration = Member(json, "duration_secs");
  if (duration != nullptr && duration->is_number()) stage.duration_secs = duration->get<double>();
  stage.json = Dump(json);
  return stage;
}

CheckpointInfo AsCheckpoint(const Json& json) {
  return {.id = Number(json, "id").value_or(0),
          .node = Text(json, "node_id"),
          .status = Text(json, "status"),
          .commit = Text(json, "git_commit_sha"),
          .at = ParseRfc3339(Text(json, "timestamp")),
          .json = Dump(json)};
}

RetroInfo AsRetro(const Json& json) {
  RetroInfo retro{.run = TextIn(json, "run", "id"),
                  .title = TextIn(json, "run", "title"),
                  .workflow = TextIn(json, "workflow", "slug"),
                  .smoothness = Text(json, "smoothness"),
                  .at = ParseRfc3339(Text(json, "timestamp")),
                  .friction_points = Number(json, "friction_point_count").value_or(0)};
  if (retro.run.empty()) retro.run = Text(json, "run_id");
  if (const Json* stats = Member(json, "stats"); stats != nullptr) {
    retro.duration_ms = Number(*stats, "total_duration_ms").value_or(0);
    retro.retries = Number(*stats, "total_retries").value_or(0);
    retro.completed = Number(*stats, "stages_completed").value_or(0);
    retro.failed = Number(*stats, "stages_failed").value_or(0);
  }
  if (const Json* points = Member(json, "friction_points"); points != nullptr && points->is_array()) {
    for (const Json& point : *points) {
      const std::string stage = Text(point, "stage_id");
      retro.frictions.emplace_back(Text(point, "kind"),
                                   StrCat(stage, stage.empty() ? "" : ": ", Text(point, "description")));
    }
    retro.friction_points = static_cast<std::int64_t>(points->size());
  }
  retro.json = Dump(json);
  return retro;
}

Diagnostic AsDiagnostic(const Json& json) {
  Diagnostic diagnostic{.rule = Text(json, "rule"),
                        .severity = Text(json, "severity"),
                        .message = Text(json, "message"),
                        .place = Text(json, "node_id"),
                        .line = Number(json, "line"),
                        .column = Number(json, "column")};
  const Json* edge = Member(json, "edge");
  if (diagnostic.place.empty() && edge != nullptr) {
    if (edge->is_string()) diagnostic.place = edge->get<std::string>();
    if (edge->is_array() && edge->size() == 2 && (*edge)[0].is_string() && (*edge)[1].is_string()) {
      diagnostic.place = StrCat((*edge)[0].get<std::string>(), " -> ", (*edge)[1].get<std::string>());
    }
    if (edge->is_object()) diagnostic.place = StrCat(Text(*edge, "from"), " -> ", Text(*edge, "to"));
  }
  return diagnostic;
}

WorkflowInfo AsWorkflow(const Json& json) {
  WorkflowInfo workflow{.slug = Text(json, "slug"),
                        .name = Text(json, "name"),
                        .filename = Text(json, "filename"),
                        .valid = Flag(json, "valid"),
                        .last_run = ParseRfc3339(TextIn(json, "last_run", "ran_at")),
                        .json = Dump(json)};
  if (const Json* found = Member(json, "diagnostics"); found != nullptr && found->is_array()) {
    for (const Json& diagnostic : *found) workflow.diagnostics.push_back(AsDiagnostic(diagnostic));
  }
  return workflow;
}

Json BodyOf(const WorkflowChoice& workflow) {
  if (!workflow.slug.empty()) return {{"workflow", workflow.slug}};
  return {{"dot_source", workflow.source}};
}

// {"data":[...],"meta":{"has_more":...}}
template <typename T, typename As>
absl::StatusOr<Page<T>> AsPage(const std::string& body, As as) {
  FABRO_ASSIGN_OR_RETURN(const Json json, Parse(body));
  const Json* data = Member(json, "data");
  if (data == nullptr || !data->is_array()) return Internal("the server's answer is no list");
  Page<T> page;
  for (const Json& item : *data) page.items.push_back(as(item));
  const Json* meta = Member(json, "meta");
  page.has_more = meta != nullptr && Flag(*meta, "has_more");
  return page;
}

std::string PageQuery(std::int64_t limit, std::uint64_t offset) {
  return StrCat("page%5Blimit%5D=", limit, "&page%5Boffset%5D=", offset);
}

absl::StatusOr<RunInfo> RunOf(const absl::StatusOr<HttpResponse>& response) {
  if (!response.ok()) return response.status();
  FABRO_ASSIGN_OR_RETURN(const Json json, Parse(response->body));
  RunInfo run = AsRun(json);
  if (run.id.empty())
    return Internal("the server's answer is no run; is this the address of a Fabro server?");
  return run;
}

absl::Status Refusal(long status, std::string_view message) {
  switch (status) {
    case 400:
      return InvalidArgument(Reason::kInvalidArgument, "", message);
    case 401:
      return Error(absl::StatusCode::kUnauthenticated, Reason::kUnauthenticated, "", message);
    case 403:
      return Error(absl::StatusCode::kPermissionDenied, Reason::kForbidden, "", message);
    case 404:
      return NotFound(Reason::kNotFound, "", message);
    case 409:
      return FailedPrecondition(Reason::kUnspecified, "", message);
    case 410:
      return FailedPrecondition(Reason::kStreamClosed, "", message);
    case 429:
      return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, "", message);
    case 503:
      return Unavailable(Reason::kDraining, "", message);
    default:
      return Error(absl::StatusCode::kInternal, Reason::kInternal, "", message);
  }
}

}  // namespace

absl::Status ErrorOfResponse(long status, std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> details;
  const Json* errors = Member(json, "errors");
  if (errors != nullptr && errors->is_array()) {
    for (const Json& error : *errors) details.push_back(Text(error, "detail"));
  }
  std::string message = Join(details, "\n");
  if (Trim(message).empty()) message = StrCat("the server answered ", status);
  return Refusal(status, message);
}

absl::StatusOr<HttpResponse> Api::Call(HttpRequest request, const std::string& path) {
  request.url = StrCat(server_, path);
  if (!request.body.empty()) request.headers.push_back("Content-Type: application/json");
  auto response = http_.Send(request);
  if (!response.ok()) return response.status();
  if (response->status < 200 || response->status > 299)
    return ErrorOfResponse(response->status, response->body);
  return response;
}

std::string Api::RunPath(const std::string& id) const { return StrCat("/runs/", EncodeUrlPart(id)); }

absl::StatusOr<RunInfo> Api::Start(const StartRun& start) {
  Json body = BodyOf(start.workflow);
  if (start.goal) body["goal"] = *start.goal;
  if (start.title) body["title"] = *start.title;
  if (!start.vars.empty()) body["vars"] = start.vars;
  if (!start.labels.empty()) body["labels"] = start.labels;
  const HttpRequest request{
      .method = "POST", .headers = {StrCat("Idempotency-Key: ", start.idempotency_key)}, .body = Dump(body)};
  auto response = Call(request, "/runs");
  // The connection may break after the run was accepted; the key makes asking again safe.
  if (!response.ok() && IsUnreachable(response.status())) response = Call(request, "/runs");
  return RunOf(response);
}

absl::StatusOr<Validation> Api::Validate(const WorkflowChoice& workflow,
                                         const std::map<std::string, std::string>& vars) {
  Json body = BodyOf(workflow);
  if (!vars.empty()) body["vars"] = vars;
  FABRO_ASSIGN_OR_RETURN(const HttpResponse response,
                         Call({.method = "POST", .body = Dump(body)}, "/runs/validate"));
  FABRO_ASSIGN_OR_RETURN(const Json json, Parse(response.body));
  Validation validation{.valid = Flag(json, "valid"), .json = Dump(json)};
  if (const Json* found = Member(json, "diagnostics"); found != nullptr && found->is_array()) {
    for (const Json& diagnostic : *found) validation.diagnostics.push_back(AsDiagnostic(diagnostic));
  }
  return validation;
}

absl::StatusOr<RunInfo> Api::Get(const std::string& id) { return RunOf(Call({}, RunPath(id))); }

absl::StatusOr<RunInfo> Api::Control(const std::string& id, std::string_view verb) {
  return RunOf(Call({.method = "POST"}, StrCat(RunPath(id), "/", verb)));
}

absl::StatusOr<RunInfo> Api::Rewind(const std::string& id, std::uint64_t checkpoint) {
  Json body = Json::object();
  body["checkpoint"] = checkpoint;
  return RunOf(Call({.method = "POST", .body = Dump(body)}, StrCat(RunPath(id), "/rewind")));
}

absl::StatusOr<RunInfo> Api::Fork(const std::string& id, std::optional<std::uint64_t> checkpoint,
                                  const std::optional<std::string>& title) {
  Json body = Json::object();
  if (checkpoint) body["checkpoint"] = *checkpoint;
  if (title) body["title"] = *title;
  return RunOf(Call({.method = "POST", .body = Dump(body)}, StrCat(RunPath(id), "/fork")));
}

absl::Status Api::Delete(const std::string& id) { return Call({.method = "DELETE"}, RunPath(id)).status(); }

absl::StatusOr<Page<RunInfo>> Api::List(const std::string& status, int limit, int offset) {
  std::string path = StrCat("/runs?", PageQuery(limit, static_cast<std::uint64_t>(offset)));
  if (!status.empty()) path += StrCat("&filter%5Bstatus%5D=", EncodeUrlPart(status));
  FABRO_ASSIGN_OR_RETURN(const HttpResponse response, Call({}, path));
  return AsPage<RunInfo>(response.body, AsRun);
}

absl::StatusOr<Page<RetroInfo>> Api::Retros(const std::string& query, int limit, int offset) {
  const std::string path = StrCat("/retros?", PageQuery(limit, static_cast<std::uint64_t>(offset)), query);
  FABRO_ASSIGN_OR_RETURN(const HttpResponse response, Call({}, path));
  return AsPage<RetroInfo>(response.body, AsRetro);
}

absl::StatusOr<std::optional<RetroInfo>> Api::Retro(const std::string& id) {
  FABRO_ASSIGN_OR_RETURN(const HttpResponse response, Call({}, StrCat(RunPath(id), "/retro")));
  FABRO_ASSIGN_OR_RETURN(const Json json, Parse(response.body));
  if (json.is_null()) return std::optional<RetroInfo>();
  return std::optional(AsRetro(json));
}

template <typename T, typename As>
absl::StatusOr<std::vector<T>> Api::Collect(const std::string& path, As as) {
  std::vector<T> all;
  for (int page_number = 0; page_number < kMaxPages; ++page_number) {
    FABRO_ASSIGN_OR_RETURN(const HttpResponse response,
                           Call({}, StrCat(path, "?", PageQuery(kMaxPage, all.size()))));
    FABRO_ASSIGN_OR_RETURN(Page<T> page, AsPage<T>(response.body, as));
    for (T& item : page.items) all.push_back(std::move(item));
    if (!page.has_more || page.items.empty()) break;
  }
  return all;
}

absl::StatusOr<std::vector<WorkflowInfo>> Api::Workflows() {
  return Collect<WorkflowInfo>("/workflows", AsWorkflow);
}

absl::StatusOr<std::vector<StageInfo>> Api::Stages(const std::string& id) {
  return Collect<StageInfo>(StrCat(RunPath(id), "/stages"), AsStage);
}

absl::StatusOr<std::vector<CheckpointInfo>> Api::Checkpoints(const std::string& id) {
  return Collect<CheckpointInfo>(StrCat(RunPath(id), "/checkpoints"), AsCheckpoint);
}

absl::StatusOr<std::vector<Question>> Api::Questions(const std::string& id) {
  FABRO_ASSIGN_OR_RETURN(const HttpResponse response,
                         Call({}, StrCat(RunPath(id), "/questions?", PageQuery(kMaxPage, 0))));
  FABRO_ASSIGN_OR_RETURN(Page<Question> page, AsPage<Question>(response.body, AsQuestion));
  return std::move(page.items);
}

absl::Status Api::Submit(const std::string& id, const std::string& question, const Answer& answer) {
  Json body = Json::object();
  if (answer.key) body["selected_option_key"] = *answer.key;
  if (!answer.keys.empty()) body["selected_option_keys"] = answer.keys;
  if (answer.text) body["value"] = *answer.text;
  const std::string path = StrCat(RunPath(id), "/questions/", EncodeUrlPart(question), "/answer");
  return Call({.method = "POST", .body = Dump(body)}, path).status();
}

absl::StatusOr<std::string> Api::Graph(const std::string& id) {
  FABRO_ASSIGN_OR_RETURN(HttpResponse response, Call({}, StrCat(RunPath(id), "/graph")));
  return std::move(response.body);
}

absl::StatusOr<Page<std::string>> Api::Events(const std::string& id, std::uint64_t after, int limit) {
  HttpRequest request;
  request.headers = {"Accept: application/json"};
  // Event ids count 1, 2, 3 ... without a gap, so "after n" and "skip n" are the same.
  const std::string path = StrCat(RunPath(id), "/events?", PageQuery(limit, after));
  FABRO_ASSIGN_OR_RETURN(const HttpResponse response, Call(std::move(request), path));
  return AsPage<std::string>(response.body, Dump);
}

HttpRequest Api::EventStream(const std::string& id, std::uint64_t after) const {
  HttpRequest request;
  request.url = StrCat(server_, RunPath(id), "/events");
  request.headers = {"Accept: text/event-stream", StrCat("Last-Event-ID: ", after)};
  return request;
}

}  // namespace fabro::cli
