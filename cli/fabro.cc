// From the command line to a command.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <utility>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/startable.h"

namespace fabro::cli {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// What no flag says, the environment may.
ClientTls WithVariables(ClientTls tls) {
  if (tls.ca.empty()) tls.ca = Variable("FABRO_CA");
  if (tls.cert.empty() && tls.key.empty()) {
    tls.cert = Variable("FABRO_CERT");
    tls.key = Variable("FABRO_KEY");
  }
  return tls;
}

// The commands that talk to a server.
struct Dispatch {
  Api& api;
  bool json;
  SignalPipe& signals;
  CheckFiles check_files;

  int operator()(const RunOptions& options) const { return RunWorkflow(api, options, json, signals); }
  int operator()(const ValidateOptions& options) const { return ValidateWorkflow(api, options, json); }
  int operator()(const WorkflowsOptions&) const { return ListWorkflows(api, json); }
  int operator()(const PsOptions& options) const { return ListRuns(api, options, json); }
  int operator()(const ShowRunOptions& options) const { return ShowRun(api, options, json); }
  int operator()(const EventsOptions& options) const { return ShowEvents(api, options, json, signals); }
  int operator()(const AnswerOptions& options) const { return AnswerQuestion(api, options); }
  int operator()(const ControlOptions& options) const { return ControlRun(api, options, json); }
  int operator()(const CheckpointsOptions& options) const { return ListCheckpoints(api, options, json); }
  int operator()(const RetrosOptions& options) const { return ListRetros(api, options, json); }
  int operator()(const RetroOptions& options) const { return ShowRetro(api, options, json); }
  int operator()(const RewindOptions& options) const { return RewindRun(api, options, json); }
  int operator()(const ForkOptions& options) const { return ForkRun(api, options, json); }
  int operator()(const GraphOptions& options) const { return DrawGraph(api, options); }
  int operator()(const ConfigCheckOptions& options) const { return CheckConfig(options, json, check_files); }
  // Taken before a client is made.
  int operator()(const HealthOptions&) const { return kExitUsage; }
  int operator()(const ServeOptions&) const { return kExitUsage; }
};

std::string HintFor(const absl::Status& status, const std::string& server) {
  if (IsUnreachable(status)) {
    return StrCat(
        "is the server running? Start it with: fabro serve\n"
        "another address is given with --server URL or FABRO_SERVER (now ",
        server, ")");
  }
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return "set FABRO_TOKEN to a token that the server accepts, or name a certificate with --cert and "
             "--key";
    case absl::StatusCode::kPermissionDenied:
      return "ask for your name to be added to web.auth.allowed_usernames";
    case absl::StatusCode::kNotFound:
      return "fabro ps --all lists the runs";
    case absl::StatusCode::kResourceExhausted:
      return "try again a little later";
    default:
      return "";
  }
}

}  // namespace

int Fail(const absl::Status& status, const std::string& server) {
  if (status.code() == absl::StatusCode::kCancelled)
    return kExitCancelled;  // by Ctrl-C: known to who pressed it
  const bool unreachable = IsUnreachable(status);
  PrintError(
      unreachable ? StrCat("no server answers at ", server, ": ", MessageOf(status)) : MessageOf(status),
      HintFor(status, server));
  return unreachable ? kExitUnreachable : kExitFailed;
}

int Main(const std::vector<std::string>& args, int (*serve)(const ServeOptions&), CoreHealth ask_core,
         CheckFiles check_files) {
  const ParsedArguments parsed = ParseArguments(args, Variable("FABRO_SERVER"), serve != nullptr);
  if (!parsed.arguments) {
    WriteText(STDOUT_FILENO, parsed.out);
    WriteText(STDERR_FILENO, parsed.error);
    return parsed.exit_code;
  }
  const Arguments& arguments = *parsed.arguments;
  if (const auto* options = std::get_if<ServeOptions>(&arguments.command)) return serve(*options);
  const ClientTls tls = WithVariables(arguments.tls);
  if (tls.cert.empty() != tls.key.empty()) {
    PrintError("a certificate and its key go together: --cert and --key, or FABRO_CERT and FABRO_KEY");
    return kExitUsage;
  }
  if (const auto* options = std::get_if<HealthOptions>(&arguments.command)) {
    return CheckHealth(*options, tls, ask_core);
  }

  std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is an error of write()
  SignalPipe signals;
  SecretString token(Variable("FABRO_TOKEN"));
  if (!token.empty() && arguments.server.starts_with("http:") &&
      !config::IsLoopbackHost(HostOfUrl(arguments.server))) {
    PrintWarning("FABRO_TOKEN goes over the network unencrypted; use an https:// server");
  }
  const auto http = MakeHttpClient({.token = std::move(token), .tls = tls, .interrupt_fd = signals.fd()});
  Api api(*http, arguments.server);
  return std::visit(Dispatch{api, arguments.json, signals, check_files}, arguments.command);
}

}  // namespace fabro::cli
