#include "cli/commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cli/event.h"
#include "cli/exit_codes.h"
#include "cli/follow.h"
#include "cli/inline_files.h"
#include "cli/progress.h"
#include "cli/questions.h"
#include "cli/run_id.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/base/strings.h"
#include "core/config/load.h"
#include "core/config/print.h"
#include "core/config/startable.h"

namespace fabro::cli {
namespace {

constexpr int kPage = 100;

// A wrong workflow file is the person's to mend, not the server's.
int FailLocally(const absl::Status& status) {
  PrintError(MessageOf(status));
  return kExitFailed;
}

// A file when there is one of that name, else what the server knows by it.
absl::StatusOr<WorkflowChoice> Choose(const std::string& word) {
  absl::StatusOr<std::string> source = ReadWorkflow(word);
  if (source.ok()) return WorkflowChoice{.source = *std::move(source)};
  struct stat info{};
  const bool is_name = word.find_first_of("/.") == std::string::npos && ::stat(word.c_str(), &info) != 0;
  if (is_name && !word.empty()) return WorkflowChoice{.slug = word};
  return source.status();
}

void PrintJsonLine(const std::string& json) { WriteText(STDOUT_FILENO, json + "\n"); }

std::string NewKey() {
  static RunIdSource source(SystemRandom());
  return source.Next(SystemClock().Now()).ToString();
}

}  // namespace

int RunWorkflow(Api& api, const RunOptions& options, bool json, SignalPipe& signals) {
  const absl::StatusOr<WorkflowChoice> workflow = Choose(options.workflow);
  if (!workflow.ok()) return FailLocally(workflow.status());
  const absl::StatusOr<RunInfo> run = api.Start({.workflow = *workflow,
                                                 .goal = options.goal,
                                                 .title = options.title,
                                                 .vars = options.vars,
                                                 .labels = options.labels,
                                                 .idempotency_key = NewKey()});
  if (!run.ok()) {
    const int code = Fail(run.status(), api.server());
    if (run.status().code() == absl::StatusCode::kInvalidArgument) {
      PrintNote(StrCat("  hint: fabro validate ", options.workflow, " says where"));
    }
    return code;
  }
  if (options.detach) {
    if (json) {
      PrintJsonLine(run->json);
    } else {
      Print({{run->id}});
    }
    return kExitOk;
  }
  if (!json) {
    Line line = {{"Run "}, {run->id, Tone::kStrong}};
    if (run->queue_position.value_or(1) > 1)
      line.push_back({StrCat("  queued at place ", *run->queue_position)});
    Print(line);
  }
  return FollowRun(api, run->id, 0, {.json = json, .answers = options.answers}, signals);
}

int ValidateWorkflow(Api& api, const ValidateOptions& options, bool json) {
  const absl::StatusOr<WorkflowChoice> workflow = Choose(options.workflow);
  if (!workflow.ok()) return FailLocally(workflow.status());
  const absl::StatusOr<Validation> validation = api.Validate(*workflow, options.vars);
  if (!validation.ok()) return Fail(validation.status(), api.server());
  if (json) {
    PrintJsonLine(validation->json);
    return validation->valid ? kExitOk : kExitFailed;
  }
  for (const Diagnostic& found : validation->diagnostics) {
    std::string place = CleanLine(options.workflow);
    if (found.line) place += StrCat(":", *found.line);
    if (found.line && found.column) place += StrCat(":", *found.column);
    const bool is_error = found.severity == "error";
    Print({{StrCat(place, ": "), Tone::kStrong},
           {StrCat(CleanLine(found.severity), ": "), is_error ? Tone::kBad : Tone::kWarn},
           {CleanLine(found.message)},
           {found.place.empty() || found.line ? "" : StrCat(" (", CleanLine(found.place), ")")},
           {StrCat(" [", CleanLine(found.rule), "]"), Tone::kDim}});
  }
  if (validation->valid && validation->diagnostics.empty())
    Print({{StrCat(CleanLine(options.workflow), ": no faults found")}});
  return validation->valid ? kExitOk : kExitFailed;
}

int ShowEvents(Api& api, const EventsOptions& options, bool json, SignalPipe& signals) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  if (options.follow) {
    return FollowRun(api, *id, options.after, {.json = json, .asks = false, .may_cancel = false}, signals);
  }
  Progress progress(StyleOf(STDOUT_FILENO), /*in_place=*/false);
  std::uint64_t after = options.after;
  while (true) {
    const absl::StatusOr<Page<std::string>> page = api.Events(*id, after, kPage);
    if (!page.ok()) return Fail(page.status(), api.server());
    for (const std::string& text : page->items) {
      if (json) {
        PrintJsonLine(text);
      } else if (const absl::StatusOr<RunEvent> event = ParseEvent(text); event.ok()) {
        PrintLines(progress.Apply(*event, event->ts));
      }
    }
    after += page->items.size();
    if (!page->has_more || page->items.empty()) return kExitOk;
  }
}

int AnswerQuestion(Api& api, const AnswerOptions& options) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<std::vector<Question>> questions = api.Questions(*id);
  if (!questions.ok()) return Fail(questions.status(), api.server());
  auto question = questions->begin();
  if (!options.question.empty()) {
    question = std::find_if(questions->begin(), questions->end(), [&](const Question& q) {
      return q.id == options.question || q.stage == options.question;
    });
  } else if (questions->size() > 1) {
    std::vector<std::string> ids;
    for (const Question& open : *questions)
      ids.push_back(StrCat(CleanLine(open.id), " (", CleanLine(open.text), ")"));
    PrintError(StrCat("the run asks ", ids.size(), " questions; say which: ", Join(ids, ", ")));
    return kExitUsage;
  }
  if (question == questions->end()) {
    PrintError(options.question.empty() ? "the run asks nothing"
                                        : StrCat("the run does not ask ", options.question));
    return kExitFailed;
  }
  absl::StatusOr<Answer> answer =
      options.text ? Answer{.text = options.text} : ParseAnswer(*question, *options.key);
  if (!answer.ok()) return FailLocally(answer.status());
  const absl::Status submitted = api.Submit(*id, question->id, *answer);
  return submitted.ok() ? kExitOk : Fail(submitted, api.server());
}

int ControlRun(Api& api, const ControlOptions& options, bool json) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  if (options.verb == "delete") {
    const absl::Status status = api.Delete(*id);
    if (!status.ok()) return Fail(status, api.server());
    if (!json) Print({{StrCat(*id, " deleted")}});
    return kExitOk;
  }
  const absl::StatusOr<RunInfo> run = api.Control(*id, options.verb);
  if (!run.ok()) return Fail(run.status(), api.server());
  if (json) {
    PrintJsonLine(run->json);
  } else {
    Print({{StrCat(run->id, " ", CleanLine(run->status))}});
  }
  return kExitOk;
}

int RewindRun(Api& api, const RewindOptions& options, bool json) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<RunInfo> run = api.Rewind(*id, options.checkpoint);
  if (!run.ok()) return Fail(run.status(), api.server());
  if (json) {
    PrintJsonLine(run->json);
  } else {
    Print({{StrCat(run->id, " is back at checkpoint ", options.checkpoint, ", ", CleanLine(run->status))}});
  }
  return kExitOk;
}

int ForkRun(Api& api, const ForkOptions& options, bool json) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<RunInfo> run = api.Fork(*id, options.checkpoint, options.title);
  if (!run.ok()) return Fail(run.status(), api.server());
  if (json) {
    PrintJsonLine(run->json);
  } else {
    Print({{run->id}});
  }
  return kExitOk;
}

int DrawGraph(Api& api, const GraphOptions& options) {
  const absl::StatusOr<std::string> id = ResolveRun(api, options.id);
  if (!id.ok()) return Fail(id.status(), api.server());
  const absl::StatusOr<std::string> svg = api.Graph(*id);
  if (!svg.ok()) return Fail(svg.status(), api.server());
  if (options.output.empty()) return WriteText(STDOUT_FILENO, *svg) ? kExitOk : kExitFailed;
  const int fd = ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool written = fd >= 0 && WriteText(fd, *svg);
  if (fd >= 0) written = ::close(fd) == 0 && written;
  return written ? kExitOk : FailLocally(ErrnoError(errno, StrCat("writing ", options.output)));
}

int CheckConfig(const ConfigCheckOptions& options, bool json, CheckFiles check_files) {
  config::Sources sources;
  sources.config_path = options.file;
  sources.environment = config::Environment::FromProcess();
  const absl::StatusOr<config::Loaded> loaded = config::Load(std::move(sources));
  if (!loaded.ok()) return FailLocally(loaded.status());
  for (const std::string& warning : loaded->warnings) PrintWarning(warning);
  WriteText(STDOUT_FILENO, json ? config::PrintJson(*loaded) + "\n" : config::PrintToml(*loaded));
  absl::Status usable = config::CheckStartable(loaded->config, config::Program::kServe);
  // Its keys and certificates too, as they are now.
  if (usable.ok() && check_files != nullptr && !options.elsewhere)
    usable = check_files(loaded->config, loaded->environment);
  return usable.ok() ? kExitOk : FailLocally(usable);
}

}  // namespace fabro::cli
