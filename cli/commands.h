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
int RewindRun(Api& api, const RewindOptions& options, bool json);
int ForkRun(Api& api, const ForkOptions& options, bool json);
int DrawGraph(Api& api, const GraphOptions& options);
int CheckConfig(const ConfigCheckOptions& options, bool json);

// Parses the command line and runs the command. `serve` and `ask_core` are null in a program without a
// server.
int Main(const std::vector<std::string>& args, int (*serve)(const ServeOptions&),
         CoreHealth ask_core = nullptr);

}  // namespace fabro::cli
