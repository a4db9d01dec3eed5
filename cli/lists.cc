// `workflows`, `ps`, `show`, `checkpoints`, `retros` and `retro`.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/http.h"
#include "cli/questions.h"
#include "cli/run_id.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

using std::chrono::milliseconds;

constexpr int kPage = 100;
const char* const kActive[] = {"queued", "starting", "running", "paused"};

Tone ToneOf(std::string_view status) {
  if (status == "completed") return Tone::kGood;
  if (status == "failed" || status == "cancelled") return Tone::kBad;
  if (status == "paused") return Tone::kWarn;
  return status == "running" ? Tone::kAccent : Tone::kPlain;
}

// Appends up to `limit` runs in this state, the newest first.
absl::Status Append(Api& api, const std::string& status, int limit, std::vector<RunInfo>& runs, bool& more) {
  for (int offset = 0; offset < limit;) {
    const int size = std::min(kPage, limit - offset);
    absl::StatusOr<Page<RunInfo>> page = api.List(status, size, offset);
    if (!page.ok()) return page.status();
    offset += static_cast<int>(page->items.size());
    for (RunInfo& run : page->items) runs.push_back(std::move(run));
    more = page->has_more;
    if (!page->has_more || page->items.empty()) return absl::OkStatus();
  }
  more = true;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RunInfo>> Collect(Api& api, const PsOptions& options, bool& more) {
  std::vector<std::string> states = {options.status};
  if (options.status.empty() && !options.all) states.assign(std::begin(kActive), std::end(kActive));
  std::vector<RunInfo> runs;
  for (const std::string& state : states) {
    bool more_of_these = false;
    const absl::Status status = Append(api, state, options.limit, runs, more_of_these);
    if (!status.ok()) return status;
    more = more || more_of_these;
  }
  // Ids begin with the time of their making. A run may move from one state to the next between two requests.
  std::sort(runs.begin(), runs.end(), [](const RunInfo& a, const RunInfo& b) { return a.id > b.id; });
  runs.erase(std::unique(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.id == b.id; }),
             runs.end());
  if (runs.size() > static_cast<std::size_t>(options.limit)) {
    runs.resize(options.limit);
    more = true;
  }
  return runs;
}

std::string Age(const RunInfo& run) {
  if (!run.created_at) return "";
  return ShowDuration(SystemClock().Now() - *run.created_at);
}

std::string Note(const RunInfo& run) {
  if (!run.question.empty()) return StrCat("? ", CleanLine(run.question));
  if (!run.error.empty()) return CleanLine(run.error);
  return CleanLine(run.title);
}

std::string StatusText(const RunInfo& run) {
  std::string text = CleanLine(run.status);
  if (run.queue_position) text += StrCat(" #", *run.queue_position);
  if (run.outcome == "partial_success") text += " in part";
  return text;
}

void AddField(std::vector<Line>& lines, std::string name, const std::string& text, Tone tone = Tone::kPlain) {
  if (text.empty()) return;
  name.resize(11, ' ');
  lines.push_back({{name, Tone::kDim}, {text, tone}});
}

std::string When(const std::optional<Timestamp>& at) { return at ? FormatRfc3339(*at) : std::string(); }

void AddStages(std::vector<Line>& lines, const std::vector<StageInfo>& stages, const Style& style) {
  if (stages.empty()) return;
  std::vector<std::vector<Span>> rows;
  for (const StageInfo& stage : stages) {
    const auto took = milliseconds(static_cast<std::int64_t>(stage.duration_secs.value_or(0) * 1000));
    rows.push_back({{CleanLine(stage.id)},
                    {CleanLine(stage.status), ToneOf(stage.status)},
                    {stage.duration_secs ? ShowDuration(took) : ""},
                    {stage.name == stage.id ? "" : CleanLine(stage.name)}});
  }
  lines.push_back({});
  for (Line& line : Table({"STAGE", "STATUS", "TIME", "NAME"}, rows, style)) lines.push_back(std::move(line));
}

void AddQuestions(std::vector<Line>& lines, const RunInfo& run, const std::vector<Question>& questions,
                  const Style& style) {
  for (const Question& question : questions) {
    lines.push_back({});
    lines.push_back({{"? ", Tone::kAccent},
                     {CleanLine(question.text), Tone::kStrong},
                     {StrCat("  ", CleanLine(question.id)), Tone::kDim}});
    for (Line& line : ShowOptions(question, style)) lines.push_back(std::move(line));
    const std::string example = question.options.empty() ? "--text TEXT" : CleanLine(question.options[0].key);
    lines.push_back(
        {{StrCat("  fabro answer ", run.id, " ", CleanLine(question.id), " ", example), Tone::kDim}});
  }
}

template <typename T>
std::string JsonList(const std::vector<T>& items) {
  std::vector<std::string> texts;
  for (const T& item : items) texts.push_back(item.json);
  return StrCat("[", Join(texts, ","), "]");
}

}  // namespace

int ListRuns(Api& api, const PsOptions& options, bool json) {
  bool more = false;
  const absl::StatusOr<std::vector<RunInfo>> runs = Collect(api, options, more);
  if (!runs.ok()) return Fail(runs.status(), api.server());
  if (json) {
    WriteText(STDOUT_FILENO, JsonList(*runs) + "\n");
    return kExitOk;
  }
  std::vector<std::vector<Span>> rows;
  for (const RunInfo& run : *runs) {
    rows.push_back({{run.id},
                    {StatusText(run), ToneOf(run.status)},
                    {Age(run)},
                    {CleanLine(run.workflow)},
                    {Note(run)}});
  }
  PrintLines(Table({"ID", "STATUS", "AGE", "WORKFLOW", "TITLE"}, rows, StyleOf(STDOUT_FILENO)));
  if (more) PrintNote(StrCat("there are more; show them with --limit ", options.limit * 2));
  return kExitOk;
}

int ListCheckpoints(Api& api, const CheckpointsOptions& options, bool json) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<std::vector<CheckpointInfo>> checkpoints = api.Checkpoints(*id);
  if (!checkpoints.ok()) return Fail(checkpoints.status(), api.server());
  if (json) {
    WriteText(STDOUT_FILENO, JsonList(*checkpoints) + "\n");
    return kExitOk;
  }
  std::vector<std::vector<Span>> rows;
  for (const CheckpointInfo& checkpoint : *checkpoints) {
    rows.push_back({{std::to_string(checkpoint.id)},
                    {CleanLine(checkpoint.node)},
                    {CleanLine(checkpoint.status), ToneOf(checkpoint.status)},
                    {When(checkpoint.at)},
                    {CleanLine(checkpoint.commit.substr(0, 12))}});
  }
  PrintLines(Table({"ID", "NODE", "STATUS", "MADE", "COMMIT"}, rows, StyleOf(STDOUT_FILENO)));
  return kExitOk;
}

int ListRetros(Api& api, const RetrosOptions& options, bool json) {
  std::string query;
  if (!options.workflow.empty()) query += StrCat("&workflow=", EncodeUrlPart(options.workflow));
  if (!options.smoothness.empty()) query += StrCat("&smoothness=", EncodeUrlPart(options.smoothness));
  std::vector<RetroInfo> retros;
  bool more = true;
  while (more && static_cast<int>(retros.size()) < options.limit) {
    const int have = static_cast<int>(retros.size());
    const absl::StatusOr<Page<RetroInfo>> page =
        api.Retros(query, std::min(kPage, options.limit - have), have);
    if (!page.ok()) return Fail(page.status(), api.server());
    retros.insert(retros.end(), page->items.begin(), page->items.end());
    more = page->has_more && !page->items.empty();
  }
  if (json) {
    WriteText(STDOUT_FILENO, JsonList(retros) + "\n");
    return kExitOk;
  }
  std::vector<std::vector<Span>> rows;
  for (const RetroInfo& retro : retros) {
    rows.push_back({{retro.run},
                    {CleanLine(retro.smoothness), ToneOf(retro.smoothness)},
                    {ShowDuration(milliseconds(retro.duration_ms))},
                    {std::to_string(retro.retries)},
                    {std::to_string(retro.friction_points)},
                    {CleanLine(retro.workflow)},
                    {CleanLine(retro.title)}});
  }
  PrintLines(Table({"ID", "WENT", "TIME", "RETRIES", "FRICTION", "WORKFLOW", "TITLE"}, rows,
                   StyleOf(STDOUT_FILENO)));
  if (more) PrintNote(StrCat("there are more; show them with --limit ", options.limit * 2));
  return kExitOk;
}

int ShowRetro(Api& api, const RetroOptions& options, bool json) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<std::optional<RetroInfo>> retro = api.Retro(*id);
  if (!retro.ok()) return Fail(retro.status(), api.server());
  if (json) {
    WriteText(STDOUT_FILENO, StrCat(*retro ? (*retro)->json : "null", "\n"));
    return kExitOk;
  }
  if (!*retro) {
    PrintNote(StrCat("run ", *id, " has not ended; there is no look back yet"));
    return kExitOk;
  }
  const RetroInfo& told = **retro;
  std::vector<Line> lines;
  AddField(lines, "run", told.run, Tone::kStrong);
  AddField(lines, "went", CleanLine(told.smoothness), ToneOf(told.smoothness));
  AddField(lines, "ended", When(told.at));
  AddField(lines, "time", ShowDuration(milliseconds(told.duration_ms)));
  AddField(lines, "stages", StrCat(told.completed, " completed, ", told.failed, " failed"));
  AddField(lines, "retries", std::to_string(told.retries));
  std::vector<std::vector<Span>> rows;
  for (const auto& [kind, text] : told.frictions) rows.push_back({{CleanLine(kind)}, {CleanLine(text)}});
  if (!rows.empty()) {
    lines.push_back({});
    for (Line& line : Table({"FRICTION", "WHAT HAPPENED"}, rows, StyleOf(STDOUT_FILENO)))
      lines.push_back(std::move(line));
  }
  PrintLines(lines);
  return kExitOk;
}

int ListWorkflows(Api& api, bool json) {
  const absl::StatusOr<std::vector<WorkflowInfo>> workflows = api.Workflows();
  if (!workflows.ok()) return Fail(workflows.status(), api.server());
  if (json) {
    WriteText(STDOUT_FILENO, JsonList(*workflows) + "\n");
    return kExitOk;
  }
  std::vector<std::vector<Span>> rows;
  for (const WorkflowInfo& workflow : *workflows) {
    const std::string note = workflow.diagnostics.empty() ? "" : CleanLine(workflow.diagnostics[0].message);
    rows.push_back({{CleanLine(workflow.slug)},
                    workflow.valid ? Span{"valid", Tone::kGood} : Span{"broken", Tone::kBad},
                    {workflow.last_run ? ShowDuration(SystemClock().Now() - *workflow.last_run) : "never"},
                    {note.empty() ? CleanLine(workflow.name) : note}});
  }
  PrintLines(Table({"WORKFLOW", "STATE", "LAST RUN", "NAME"}, rows, StyleOf(STDOUT_FILENO)));
  return kExitOk;
}

int ShowRun(Api& api, const ShowRunOptions& options, bool json) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<RunInfo> run = api.Get(*id);
  if (!run.ok()) return Fail(run.status(), api.server());
  const absl::StatusOr<std::vector<StageInfo>> stages = api.Stages(*id);
  if (!stages.ok()) return Fail(stages.status(), api.server());
  const absl::StatusOr<std::vector<Question>> questions = api.Questions(*id);
  if (!questions.ok()) return Fail(questions.status(), api.server());
  if (json) {
    WriteText(STDOUT_FILENO, StrCat("{\"run\":", run->json, ",\"stages\":", JsonList(*stages),
                                    ",\"questions\":", JsonList(*questions), "}\n"));
    return kExitOk;
  }
  const Style style = StyleOf(STDOUT_FILENO);
  std::vector<Line> lines;
  AddField(lines, "run", run->id, Tone::kStrong);
  AddField(lines, "title", CleanLine(run->title));
  AddField(lines, "workflow", CleanLine(run->workflow));
  AddField(lines, "status", StatusText(*run), ToneOf(run->status));
  AddField(lines, "error", CleanLine(run->error), Tone::kBad);
  AddField(lines, "created",
           StrCat(When(run->created_at),
                  run->created_by.empty() ? "" : StrCat(" by ", CleanLine(run->created_by))));
  AddField(lines, "started", When(run->started_at));
  AddField(lines, "finished", When(run->finished_at));
  for (const auto& [name, value] : run->labels) AddField(lines, "label", CleanLine(StrCat(name, "=", value)));
  AddStages(lines, *stages, style);
  AddQuestions(lines, *run, *questions, style);
  PrintLines(lines);
  return kExitOk;
}

}  // namespace fabro::cli
