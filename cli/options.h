// The command line as values. CLI11 stays in options.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/http.h"
#include "cli/serve.h"

namespace fabro::cli {

struct RunOptions {
  std::string workflow;  // a file, else the slug of one that the server knows
  std::optional<std::string> goal;
  std::optional<std::string> title;
  std::map<std::string, std::string> vars;
  std::map<std::string, std::string> labels;
  std::vector<std::string> answers;
  bool detach = false;
};

struct ValidateOptions {
  std::string workflow;
  std::map<std::string, std::string> vars;
};

struct WorkflowsOptions {};

struct PsOptions {
  bool all = false;
  std::string status;
  int limit = 50;
};

struct ShowRunOptions {
  std::string id;
};

struct EventsOptions {
  std::string id;
  std::uint64_t after = 0;
  bool follow = false;
};

struct AnswerOptions {
  std::string id;
  std::string question;  // empty: the only open one
  std::optional<std::string> key;
  std::optional<std::string> text;
};

struct ControlOptions {
  std::string verb;  // cancel, pause, unpause, delete
  std::string id;
};

struct CheckpointsOptions {
  std::string id;
};

struct RetrosOptions {
  std::string workflow;  // empty: all, as the next one
  std::string smoothness;
  int limit = 50;
};

struct RetroOptions {
  std::string id;
};

struct RewindOptions {
  std::string id;
  std::uint64_t checkpoint = 0;
};

struct ForkOptions {
  std::string id;
  std::optional<std::uint64_t> checkpoint;  // not set: the last one
  std::optional<std::string> title;
};

struct GraphOptions {
  std::string id;
  std::string output;  // empty: standard output
};

struct ConfigCheckOptions {
  std::optional<std::string> file;
  bool elsewhere = false;  // it is for another machine: its keys and certificates are not here
};

struct HealthOptions {
  std::string server;  // as given by --server or FABRO_SERVER; empty: what the configuration says
  bool live = false;   // whether it answers, not whether it takes work
  bool core = false;   // the core behind gateway.core
  std::optional<std::string> config_path;
};

using Command =
    std::variant<RunOptions, ValidateOptions, WorkflowsOptions, PsOptions, ShowRunOptions, EventsOptions,
                 AnswerOptions, ControlOptions, CheckpointsOptions, RetrosOptions, RetroOptions,
                 RewindOptions, ForkOptions, GraphOptions, ConfigCheckOptions, HealthOptions, ServeOptions>;

struct Arguments {
  std::string server;  // without a '/' at its end
  bool json = false;
  ClientTls tls;
  Command command;
};

struct ParsedArguments {
  std::optional<Arguments> arguments;  // absent: print the texts and end with exit_code
  int exit_code = 0;
  std::string out;  // help
  std::string error;
};

// `args` is without the program's name; `default_server` is FABRO_SERVER or empty. Without `with_serve` there
// is no subcommand `serve`.
ParsedArguments ParseArguments(const std::vector<std::string>& args, const std::string& default_server,
                               bool with_serve);

}  // namespace fabro::cli
