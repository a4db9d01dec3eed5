#include "core/stages/preparer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "core/async/executor.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/stages/command_text.h"
#include "core/stages/work_folder.h"

namespace fabro::stages {
namespace {

using engine::PreparationStep;
using sandbox::CommandResult;
using std::chrono::milliseconds;

constexpr std::size_t kSetupErrorBytes = 4096;  // of the SetupFailed event
constexpr std::string_view kSetupTimeout = "setup.timeout_ms";

std::string ToString(config::SandboxProvider provider) {
  switch (provider) {
    case config::SandboxProvider::kLocal:
      return "local";
    case config::SandboxProvider::kBubblewrap:
      return "bubblewrap";
    case config::SandboxProvider::kDocker:
      return "docker";
  }
  return "";
}

milliseconds Since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
}

absl::Status Failed(std::string_view message) {
  return FailedPrecondition(Reason::kUpstream, "preparation", message);
}

Occasion OccasionOf(const RunContext& context, config::HookEvent event, std::string work_dir) {
  Occasion occasion;
  occasion.event = event;
  occasion.run = context.run;
  occasion.workflow_name = context.workflow_name;
  occasion.goal = context.goal;
  occasion.work_dir = std::move(work_dir);
  occasion.traceparent = context.traceparent;
  occasion.settings = context.settings;
  return occasion;
}

sandbox::Command CommandFor(const RunContext& context, std::string work_dir, std::string_view purpose) {
  sandbox::Command command;
  command.env = {{"FABRO_RUN_ID", context.run.ToString()}};
  if (!context.traceparent.empty()) command.env.emplace_back("TRACEPARENT", context.traceparent);
  command.work_dir = std::move(work_dir);
  command.timeout = context.settings->setup_timeout;
  command.label = StrCat(context.run.ToString(), '-', purpose);
  return command;
}

}  // namespace

bool Preparer::IsNeeded(const RunContext& context) const {
  const config::RunSettings& settings = *context.settings;
  return !settings.setup_commands.empty() || !settings.hooks.empty() ||
         settings.sandbox.provider != config::SandboxProvider::kLocal || worktrees_.MayNeed(context);
}

Task<engine::Prepared> Preparer::Prepare(RunContext context, PreparationSink* sink) {
  engine::Prepared prepared;
  prepared.work_dir = context.work_dir;
  absl::Status status = co_await MakeWorktree(context, sink, &prepared);
  if (status.ok()) status = co_await OpenSandbox(context, sink, prepared.work_dir);
  if (status.ok()) status = co_await SetUp(context, sink, prepared.work_dir);
  if (status.ok()) status = co_await TellOfStart(context, prepared.work_dir);
  if (status.ok()) status = co_await SealSetup(context, &prepared);
  if (!status.ok()) prepared.failure = redactor_.Redact(MessageOf(status));
  co_return prepared;
}

Task<absl::Status> Preparer::MakeWorktree(RunContext context, PreparationSink* sink,
                                          engine::Prepared* prepared) {
  if (!worktrees_.MayNeed(context)) co_return absl::OkStatus();
  absl::StatusOr<std::optional<RunWorktree>> made = co_await worktrees_.MakeForRun(std::move(context), sink);
  if (!made.ok()) co_return Annotate(made.status(), "making the run's worktree");
  if (!*made) co_return absl::OkStatus();
  prepared->work_dir = (*made)->work_dir;
  prepared->repository = (*made)->repository;
  prepared->base_sha = (*made)->base_sha;
  co_return absl::OkStatus();
}

Task<absl::Status> Preparer::OpenSandbox(RunContext context, PreparationSink* sink, std::string work_dir) {
  const auto begun = std::chrono::steady_clock::now();
  const config::SandboxSettings& settings = context.settings->sandbox;
  PreparationStep initializing = engine::SandboxInitializing{ToString(settings.provider)};
  co_await sink->Tell(std::move(initializing));
  FABRO_CO_RETURN_IF_ERROR(co_await MakeWorkFolder(pool_, work_dir));
  if (settings.provider != config::SandboxProvider::kLocal) {
    // Whatever keeps commands from running there is said now, once, rather than by the first stage.
    sandbox::Command probe = CommandFor(context, std::move(work_dir), "probe");
    probe.argv = {"true"};
    const std::unique_ptr<sandbox::Sandbox> sandbox = sandboxes_.For(settings);
    const absl::StatusOr<CommandResult> ran = co_await sandbox->Run(std::move(probe), nullptr);
    if (!ran.ok())
      co_return Annotate(ran.status(), StrCat("opening the ", ToString(settings.provider), " sandbox"));
    const std::string fault = FaultOf(*ran, context.settings->setup_timeout, kSetupTimeout);
    if (!fault.empty()) {
      co_return Failed(StrCat("the first command in the ", ToString(settings.provider), " sandbox ", fault,
                              StreamsText(ran->out, ran->err)));
    }
  }
  engine::SandboxReady ready;
  ready.provider = ToString(settings.provider);
  ready.duration = Since(begun);
  PreparationStep step = std::move(ready);
  co_await sink->Tell(std::move(step));
  co_return absl::OkStatus();
}

Task<absl::Status> Preparer::SetUp(RunContext context, PreparationSink* sink, std::string work_dir) {
  const std::size_t count = context.settings->setup_commands.size();
  if (count == 0) co_return absl::OkStatus();
  const auto begun = std::chrono::steady_clock::now();
  PreparationStep started = engine::SetupStarted{static_cast<std::uint32_t>(count)};
  co_await sink->Tell(std::move(started));
  for (std::size_t index = 0; index < count; ++index) {
    const absl::Status done = co_await RunSetupCommand(context, sink, work_dir, index);
    if (!done.ok()) co_return done;
  }
  PreparationStep completed = engine::SetupCompleted{Since(begun)};
  co_await sink->Tell(std::move(completed));
  co_return absl::OkStatus();
}

Task<absl::Status> Preparer::SealSetup(RunContext context, engine::Prepared* prepared) {
  const config::RunSettings& settings = *context.settings;
  const bool nothing_ran = settings.setup_commands.empty() && settings.hooks.empty();
  if (prepared->repository.empty() || nothing_ran) co_return absl::OkStatus();
  RunWorktree worktree{
      .work_dir = prepared->work_dir, .repository = prepared->repository, .base_sha = prepared->base_sha};
  absl::StatusOr<RunWorktree> sealed = co_await worktrees_.SealSetup(std::move(context), std::move(worktree));
  if (!sealed.ok()) co_return Annotate(sealed.status(), "committing what the set-up commands left");
  prepared->base_sha = sealed->base_sha;
  co_return absl::OkStatus();
}

Task<absl::Status> Preparer::RunSetupCommand(RunContext context, PreparationSink* sink, std::string work_dir,
                                             std::size_t index) {
  const std::string& script = context.settings->setup_commands[index];
  const std::string shown = redactor_.Redact(script);
  const auto number = static_cast<std::uint32_t>(index);
  PreparationStep started = engine::SetupCommandStarted{shown, number};
  co_await sink->Tell(std::move(started));

  sandbox::Command command = CommandFor(context, std::move(work_dir), StrCat("setup-", index + 1));
  command.argv = {"bash", "-c", script};
  const std::unique_ptr<sandbox::Sandbox> sandbox = sandboxes_.For(context.settings->sandbox);
  const absl::StatusOr<CommandResult> ran = co_await sandbox->Run(std::move(command), nullptr);
  if (absl::IsCancelled(ran.status())) co_return ran.status();
  const bool cancelled = ran.ok() && ran->end == CommandResult::End::kCancelled;
  if (cancelled) co_return Cancelled("the preparation was stopped");

  engine::SetupFailed failed;
  std::string fault;
  std::string streams;
  if (!ran.ok()) {
    fault = StrCat("could not be started: ", MessageOf(ran.status()));
    failed.exit_code = -1;
    failed.error = redactor_.Redact(MessageOf(ran.status()));
  } else {
    fault = FaultOf(*ran, context.settings->setup_timeout, kSetupTimeout);
    streams = StreamsText(redactor_.Redact(ran->out), redactor_.Redact(ran->err));
    failed.exit_code = ran->exit_code;
    failed.error = KeepEnds(redactor_.Redact(ran->err), kSetupErrorBytes);
  }
  if (fault.empty()) {
    PreparationStep completed = engine::SetupCommandCompleted{shown, number, ran->exit_code, ran->duration};
    co_await sink->Tell(std::move(completed));
    co_return absl::OkStatus();
  }
  failed.command = shown;
  failed.index = number;
  PreparationStep told = std::move(failed);
  co_await sink->Tell(std::move(told));
  co_return Failed(StrCat("set-up command ", index + 1, " of ", context.settings->setup_commands.size(), ' ',
                          fault, ": ", TitleOf(shown), streams));
}

Task<absl::Status> Preparer::TellOfStart(RunContext context, std::string work_dir) {
  Occasion occasion = OccasionOf(context, config::HookEvent::kRunStart, std::move(work_dir));
  const absl::StatusOr<Verdict> verdict = co_await hooks_.Fire(std::move(occasion));
  if (!verdict.ok()) co_return verdict.status();
  if (verdict->kind == Verdict::Kind::kGoOn) co_return absl::OkStatus();
  co_return Failed(verdict->reason);
}

Task<void> Preparer::CleanUp(RunContext context, engine::Prepared prepared, engine::RunEnd end) {
  const RunId run = context.run;
  const bool cancelled = end.how == engine::RunEnd::How::kCancelled;
  if (!cancelled) {
    const bool failed = end.how == engine::RunEnd::How::kFailed;
    const auto event = failed ? config::HookEvent::kRunFailed : config::HookEvent::kRunComplete;
    Occasion occasion = OccasionOf(context, event, prepared.work_dir);
    occasion.status = failed ? "failed" : "completed";
    occasion.failure = end.error;
    const absl::StatusOr<Verdict> told = co_await hooks_.Fire(std::move(occasion));
    if (!told.ok()) co_return;
  }
  co_await hooks_.Join(run, /*give_up=*/cancelled);
  const bool stopped = co_await IsCancelled();
  if (stopped || !worktrees_.MayNeed(context)) co_return;
  const absl::Status removed = co_await worktrees_.RemoveForRun(std::move(context), std::move(prepared));
  if (removed.ok() || absl::IsCancelled(removed)) co_return;
  log::Warn("the run's worktree could not be removed; `git worktree remove` takes it away",
            {{"run", run}, {"error", removed}});
}

}  // namespace fabro::stages
