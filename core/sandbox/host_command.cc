#include "core/sandbox/host_command.h"

#include <signal.h>

#include <filesystem>

#include "core/async/deadline.h"
#include "core/async/sleep.h"
#include "core/async/task_scope.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/sandbox/output_tail.h"
#include "core/sandbox/process.h"

namespace fabro::sandbox {
namespace {

using std::chrono::milliseconds;

std::string DefaultHelper() {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "fabro-stage" : (self.parent_path() / "fabro-stage").string();
}

constexpr milliseconds kGraceOutside = std::chrono::seconds(2);

std::vector<std::string> HelperCommand(const std::string& helper, milliseconds grace, std::string_view place,
                                       const HostLimits* limits, const std::vector<std::string>& command) {
  std::vector<std::string> argv{helper, std::to_string(grace.count())};
  if (limits != nullptr) {
    argv.emplace_back(place);
    for (const std::int64_t limit : {limits->memory_bytes, limits->processes, limits->cpu_seconds})
      argv.push_back(std::to_string(limit));
  }
  argv.emplace_back("--");
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

// Turns bytes that arrive in pieces into valid UTF-8: a sequence cut at the end waits for its rest.
class Utf8Pieces {
 public:
  std::string Take(std::string_view bytes) {
    std::string text = std::exchange(held_, {}) + std::string(bytes);
    std::size_t cut = text.size();
    for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
      const auto byte = static_cast<unsigned char>(text[text.size() - back]);
      if ((byte & 0xC0) == 0x80) continue;
      const std::size_t wants = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
      if (wants > back) cut = text.size() - back;
      break;
    }
    held_ = text.substr(cut);
    text.resize(cut);
    return ToValidUtf8(text);
  }
  std::string Rest() { return ToValidUtf8(std::exchange(held_, {})); }

 private:
  std::string held_;
};

struct Pump {
  Pump(Stream s, std::size_t limit) : stream(s), kept(limit) {}
  Stream stream;
  OutputTail kept;
  Utf8Pieces pieces;
};

Task<void> PumpOutput(Process* process, Pump* pump, OutputSink* sink) {
  while (true) {
    std::string bytes =
        pump->stream == Stream::kStdout ? co_await process->ReadOut() : co_await process->ReadErr();
    const bool ended = bytes.empty();
    std::string text = ended ? pump->pieces.Rest() : pump->pieces.Take(bytes);
    std::string shown(pump->kept.Append(text));
    if (ended) shown += pump->kept.Rest();
    if (!shown.empty() && sink != nullptr) co_await sink->Write(pump->stream, std::move(shown));
    if (ended) co_return;
  }
}

// Stops the process when its time is over or its owner is told to stop, whichever comes first.
Task<void> Watch(Process* process, milliseconds timeout, CommandResult::End* end) {
  const absl::Status slept = co_await SystemTime().Sleep(timeout);
  if (*end != CommandResult::End::kExited) co_return;
  if (slept.ok()) *end = CommandResult::End::kTimedOut;
  if (slept.ok()) process->Signal(SIGTERM);
}

Task<void> WaitForExit(Process* process, int* exit_code, TaskScope* watchers) {
  *exit_code = co_await process->WaitExit();
  watchers->Cancel();
}

}  // namespace

std::string HelperPath(const HostOptions& options) {
  return options.stage_helper.empty() ? DefaultHelper() : options.stage_helper;
}

std::vector<std::string> HelperInside(const std::string& path, const HostOptions& options,
                                      const HostLimits& limits, const std::vector<std::string>& command) {
  return HelperCommand(path, options.grace, "--inside", &limits, command);
}

Task<absl::StatusOr<CommandResult>> RunOnHost(BlockingPool& pool, HostOptions options, HostCommand command,
                                              OutputSink* sink) {
  // The helper outside leaves the one inside its whole grace period.
  const milliseconds grace = options.grace + (command.watch ? kGraceOutside : milliseconds(0));
  const std::vector<std::string> argv = HelperCommand(
      HelperPath(options), grace, "--outside", command.watch ? &*command.watch : nullptr, command.argv);

  const bool cancelled_before = co_await IsCancelled();
  if (cancelled_before) co_return Cancelled("cancelled before the command was started");
  const auto begun = std::chrono::steady_clock::now();
  // The started process must have an owner whatever happens to the caller meanwhile.
  auto started = std::make_shared<std::optional<absl::StatusOr<ProcessHandles>>>();
  auto waiter = std::make_shared<Waiter>();
  const bool accepted = pool.TryRun([argv, env = command.env, dir = command.dir, input = command.input,
                                     note = command.note, started, waiter] {
    started->emplace(StartProcess(argv, env, dir, input, note));
    waiter->Complete(absl::OkStatus());
  });
  if (!accepted) {
    co_return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, "",
                    "too many commands are being started");
  }
  (void)co_await waiter->WaitUncancelled();
  FABRO_CO_ASSIGN_OR_RETURN(const ProcessHandles handles, std::move(**started));

  // Everything about this process happens on the caller's strand, so plain variables suffice.
  const Executor strand = co_await CurrentExecutor();
  Process process(strand, handles);
  CommandResult result;
  Pump out(Stream::kStdout, options.max_output_bytes);
  Pump err(Stream::kStderr, options.max_output_bytes);
  TaskScope watchers(strand);
  TaskScope readers(strand);
  watchers.SpawnOn(strand, "command time-out", Watch(&process, command.timeout, &result.end));
  readers.SpawnOn(strand, "command exit", WaitForExit(&process, &result.exit_code, &watchers));
  readers.SpawnOn(strand, "command output", PumpOutput(&process, &out, sink));
  readers.SpawnOn(strand, "command errors", PumpOutput(&process, &err, sink));

  // A caller that is told to stop wakes here, passes SIGTERM on, and still waits for the end.
  auto ended = std::make_shared<Waiter>();
  TaskScope joiner(strand);
  auto join = [](TaskScope* scope, std::shared_ptr<Waiter> done) -> Task<void> {
    co_await scope->Join();
    done->Complete(absl::OkStatus());
  };
  joiner.SpawnOn(strand, "command end", join(&readers, ended));
  const absl::Status waited = co_await ended->Wait();
  if (!waited.ok()) {
    if (result.end == CommandResult::End::kExited) result.end = CommandResult::End::kCancelled;
    process.Signal(SIGTERM);
  }
  co_await joiner.Join();
  co_await watchers.Join();

  result.out = out.kept.Text();
  result.err = err.kept.Text();
  result.duration = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
  co_return result;
}

}  // namespace fabro::sandbox
