// What each subcommand does. All return the exit code and print their own errors.
#pragma once

#include "cli/api.h"
#include "cli/health.h"
#include "cli/options.h"
#include "cli/terminal.h"

namespace fabro::cli {

int RunWorkflow(Api& api, const RunOptions& options, bool json, SignalPipe& signals);
int ValidateWorkflow(Api& api, const ValidateOptions& options, bool json);
int ListWorkflows(Api& api, bool json);
int ListRuns(Api& api, const PsOptions& options, bool json);
int ShowRun(Api& api, const ShowRunOptions& options, bool json);
int ShowEvents(Api& api, const EventsOptions& options, bool json, SignalPipe& signals);
int AnswerQuestion(Api& api, const AnswerOptions& options);
int ControlRun(Api& api, const ControlOptions& options, bool json);
int ListCheckpoints(Api& api, const CheckpointsOptions& options, bool json);
int ListRetros(Api& api, const RetrosOptions& options, bool json);
int ShowRetro(Api& api, const RetroOptions& options, bool json);
int RewindRun(Api& api, const RewindOptions& options, bool json);
int ForkRun(Api& api, const ForkOptions& options, bool json);
int DrawGraph(Api& api, const GraphOptions& options);
// Whether the keys and certificates of a configuration can be used.
using CheckFiles = absl::Status (*)(const config::ServerConfig& config,
                                    const config::Environment& environment);
int CheckConfig(const ConfigCheckOptions& options, bool json, CheckFiles check_files);  // null: not looked at

// Parses the command line and runs the command. The functions are null in a program without a server.
int Main(const std::vector<std::string>& args, int (*serve)(const ServeOptions&),
         CoreHealth ask_core = nullptr, CheckFiles check_files = nullptr);

}  // namespace fabro::cli
