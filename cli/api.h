// The server's API as the command line uses it: plain values in, plain values out. Blocking.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/http.h"
#include "core/base/time.h"

namespace fabro::cli {

// A run as GET /runs and GET /runs/{id} tell of it. `json` is what the server sent.
struct RunInfo {
  std::string id;
  std::string status;  // queued, starting, running, paused, completed, failed, cancelled
  std::string title;
  std::string workflow;
  std::string error;
  std::string question;  // GET /runs only
  std::string outcome;
  std::string created_by;
  std::optional<std::int64_t> queue_position;
  std::optional<Timestamp> created_at;
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> finished_at;
  std::map<std::string, std::string> labels;
  std::string json;

  bool is_terminal() const { return status == "completed" || status == "failed" || status == "cancelled"; }
};

struct StageInfo {
  std::string id;
  std::string name;
  std::string status;
  std::optional<double> duration_secs;
  std::string json;
};

struct CheckpointInfo {
  std::int64_t id = 0;
  std::string node;
  std::string status;
  std::string commit;  // empty: none
  std::optional<Timestamp> at;
  std::string json;
};

// A look back at a run that has ended: a line of GET /retros, or all of GET /runs/{id}/retro.
struct RetroInfo {
  std::string run;
  std::string title;  // GET /retros only, as the next one
  std::string workflow;
  std::string smoothness;  // effortless, smooth, bumpy, struggled, failed
  std::optional<Timestamp> at;
  std::int64_t duration_ms = 0;
  std::int64_t retries = 0;
  std::int64_t completed = 0;
  std::int64_t failed = 0;
  std::int64_t friction_points = 0;
  std::vector<std::pair<std::string, std::string>> frictions;  // of one run: kind, and what happened where
  std::string json;
};

struct QuestionOption {
  std::string key;
  std::string label;
};

struct Question {
  std::string id;
  std::string text;
  std::string type;  // yes_no, multiple_choice, multi_select, freeform, confirmation
  std::vector<QuestionOption> options;
  bool allow_freeform = false;
  std::string stage;
  std::string context;
  std::string default_choice;
  std::string json;
};

// Exactly one of the three is set.
struct Answer {
  std::optional<std::string> key;
  std::vector<std::string> keys;
  std::optional<std::string> text;
};

struct Diagnostic {
  std::string rule;
  std::string severity;
  std::string message;
  std::string place;  // the node or the edge it is about
  std::optional<std::int64_t> line;
  std::optional<std::int64_t> column;
};

struct Validation {
  bool valid = false;
  std::vector<Diagnostic> diagnostics;
  std::string json;
};

// A workflow as GET /workflows tells of it.
struct WorkflowInfo {
  std::string slug;
  std::string name;
  std::string filename;
  bool valid = false;
  std::optional<Timestamp> last_run;
  std::vector<Diagnostic> diagnostics;
  std::string json;
};

template <typename T>
struct Page {
  std::vector<T> items;
  bool has_more = false;
};

// What to run or to look at: exactly one is set.
struct WorkflowChoice {
  std::string source;  // DOT
  std::string slug;    // of a workflow that the server knows
};

struct StartRun {
  WorkflowChoice workflow;
  std::optional<std::string> goal;
  std::optional<std::string> title;
  std::map<std::string, std::string> vars;
  std::map<std::string, std::string> labels;
  std::string idempotency_key;  // makes a repetition after a broken connection safe
};

// Errors carry the server's own words: NotFound 404, InvalidArgument 400, FailedPrecondition 409,
// kStreamClosed 410, Unauthenticated 401, PermissionDenied 403, Unavailable with kDraining 503, else
// Internal.
absl::Status ErrorOfResponse(long status, std::string_view body);

// Neither copied nor outlived by its HttpClient.
class Api {
 public:
  Api(HttpClient& http, std::string server) : http_(http), server_(std::move(server)) {}

  absl::StatusOr<RunInfo> Start(const StartRun& start);
  absl::StatusOr<Validation> Validate(const WorkflowChoice& workflow,
                                      const std::map<std::string, std::string>& vars);
  absl::StatusOr<std::vector<WorkflowInfo>> Workflows();
  absl::StatusOr<RunInfo> Get(const std::string& id);
  absl::StatusOr<RunInfo> Control(const std::string& id, std::string_view verb);  // cancel, pause, unpause
  absl::StatusOr<RunInfo> Rewind(const std::string& id, std::uint64_t checkpoint);
  absl::StatusOr<RunInfo> Fork(const std::string& id, std::optional<std::uint64_t> checkpoint,
                               const std::optional<std::string>& title);
  absl::StatusOr<std::vector<CheckpointInfo>> Checkpoints(const std::string& id);
  absl::StatusOr<Page<RetroInfo>> Retros(const std::string& query, int limit, int offset);
  absl::StatusOr<std::optional<RetroInfo>> Retro(const std::string& id);  // none before the run's end
  absl::Status Delete(const std::string& id);
  absl::StatusOr<Page<RunInfo>> List(const std::string& status, int limit, int offset);
  absl::StatusOr<std::vector<StageInfo>> Stages(const std::string& id);
  absl::StatusOr<std::vector<Question>> Questions(const std::string& id);
  absl::Status Submit(const std::string& id, const std::string& question, const Answer& answer);
  absl::StatusOr<std::string> Graph(const std::string& id);                                         // SVG
  absl::StatusOr<Page<std::string>> Events(const std::string& id, std::uint64_t after, int limit);  // as JSON

  // The request for the live events after `after`.
  HttpRequest EventStream(const std::string& id, std::uint64_t after) const;
  HttpClient& http() { return http_; }
  const std::string& server() const { return server_; }

 private:
  absl::StatusOr<HttpResponse> Call(HttpRequest request, const std::string& path);
  // All items of a list, page after page.
  template <typename T, typename As>
  absl::StatusOr<std::vector<T>> Collect(const std::string& path, As as);
  std::string RunPath(const std::string& id) const;

  HttpClient& http_;
  const std::string server_;
};

}  // namespace fabro::cli
