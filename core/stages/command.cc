#include "core/stages/command.h"

#include <memory>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/stages/command_text.h"
#include "core/stages/directive.h"
#include "core/stages/work_folder.h"

namespace fabro::stages {
namespace {

using engine::FailureClass;
using engine::Outcome;
using engine::OutcomeStatus;
using sandbox::CommandResult;

Outcome Failed(FailureClass failure_class, std::string message) {
  Outcome outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = engine::Failure{std::move(message), failure_class};
  return outcome;
}

// Redacts each stream as it passes: a secret cut in two by a read is still found.
class RedactingSink final : public sandbox::OutputSink {
 public:
  RedactingSink(const events::Redactor& redactor, StageOutputSink* sink)
      : out_(redactor), err_(redactor), sink_(sink) {}

  Task<void> Write(sandbox::Stream stream, std::string text) override {
    const bool is_err = stream == sandbox::Stream::kStderr;
    std::string safe = (is_err ? err_ : out_).Push(text);
    if (!safe.empty()) co_await sink_->Write(is_err, std::move(safe));
  }

  Task<void> Finish() {
    std::string out = out_.Finish();
    if (!out.empty()) co_await sink_->Write(false, std::move(out));
    std::string err = err_.Finish();
    if (!err.empty()) co_await sink_->Write(true, std::move(err));
  }

 private:
  events::StreamRedactor out_;
  events::StreamRedactor err_;
  StageOutputSink* const sink_;
};

Outcome OutcomeOf(const CommandResult& result, const StageRequest& request) {
  switch (result.end) {
    case CommandResult::End::kCancelled:
      return Failed(FailureClass::kCanceled, "the stage was cancelled");
    case CommandResult::End::kTimedOut: {
      Outcome late =
          Failed(FailureClass::kTransientInfra,
                 StrCat("Script timed out after ", request.timeout.count(), "ms: ", TitleOf(request.text)));
      late.failure->timed_out = true;
      return late;
    }
    case CommandResult::End::kExited:
      break;
  }
  if (result.exit_code != 0) {
    return Failed(FailureClass::kDeterministic, StrCat("Script failed with exit code: ", result.exit_code,
                                                       StreamsText(result.out, result.err)));
  }
  Outcome outcome;
  outcome.notes = StrCat("Script completed: ", TitleOf(request.text));
  return outcome;
}

}  // namespace

Task<Outcome> CommandRunner::Run(StageRequest request, StageOutputSink* sink) {
  const absl::Status made = co_await MakeWorkFolder(pool_, request.work_dir);
  if (absl::IsCancelled(made)) co_return Failed(FailureClass::kCanceled, "the stage was cancelled");
  if (!made.ok()) co_return Failed(FailureClass::kTransientInfra, MessageOf(made));

  sandbox::Command command;
  const bool is_python = request.node->language == workflow::Language::kPython;
  command.argv = {is_python ? "python3" : "bash", "-c", request.text};
  command.env = request.environment;
  command.work_dir = request.work_dir;
  command.timeout = request.timeout;
  command.label = StrCat(request.run.ToString(), '-', request.stage_id, '-', request.attempt);
  const std::unique_ptr<sandbox::Sandbox> sandbox =
      sandboxes_.For(request.settings == nullptr ? config::SandboxSettings() : request.settings->sandbox);
  RedactingSink redacting(redactor_, sink);
  absl::StatusOr<CommandResult> ran = co_await sandbox->Run(std::move(command), &redacting);
  if (absl::IsCancelled(ran.status())) co_return Failed(FailureClass::kCanceled, "the stage was cancelled");
  if (!ran.ok()) {
    const bool may_pass = absl::IsUnavailable(ran.status()) || absl::IsResourceExhausted(ran.status());
    co_return Failed(may_pass ? FailureClass::kTransientInfra : FailureClass::kDeterministic,
                     redactor_.Redact(MessageOf(ran.status())));
  }
  co_await redacting.Finish();
  ran->out = redactor_.Redact(ran->out);
  ran->err = redactor_.Redact(ran->err);
  Outcome outcome = OutcomeOf(*ran, request);
  outcome.context_updates["command.output"] = JsonString(ran->out);
  outcome.context_updates["command.stderr"] = JsonString(ran->err);
  ApplyDirective(ran->out, &outcome);
  co_return outcome;
}

}  // namespace fabro::stages
