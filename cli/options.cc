#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <sstream>
#include <utility>

#include "cli/exit_codes.h"
#include "cli/http.h"
#include "core/base/strings.h"
#include "core/config/flags.h"

namespace fabro::cli {
namespace {

constexpr std::string_view kDefaultServer = "http://localhost:3000";
constexpr const char* kFooter =
    "The server is --server, else FABRO_SERVER, else http://localhost:3000; FABRO_TOKEN is sent to it.\n"
    "FABRO_CA, FABRO_CERT and FABRO_KEY stand in for --ca, --cert and --key.\n"
    "Exit codes: 0 done (the run completed), 1 refused or failed, 2 wrong usage, 3 no server answers,\n"
    "130 the run was cancelled or left with Ctrl-C.";

// Adds subcommands to an app and keeps what they fill until the parse is over.
class Builder {
 public:
  explicit Builder(const std::string& default_server)
      : app_("Runs workflows on a Fabro server.", "fabro"),
        server_(default_server.empty() ? std::string(kDefaultServer) : default_server),
        server_is_named_(!default_server.empty()) {
    app_.footer(kFooter);
    app_.require_subcommand(1);
    app_.set_help_all_flag("--help-all", "Help of every command");
    AddCommon(app_);
  }

  void AddRun() {
    CLI::App* sub = Client("run", "Start a workflow, follow it and answer its questions", run_);
    sub->add_option(
           "WORKFLOW", run_.workflow,
           "File of a workflow (the files that its prompts name go with it), else the name of one that "
           "the server knows")
        ->required();
    sub->add_option("--goal", run_.goal, "What the run is to reach, instead of the workflow's own goal");
    sub->add_option("--title", run_.title, "Title for lists");
    sub->add_option("--var", vars_, "NAME=VALUE of a variable in the source; repeatable")
        ->allow_extra_args(false);
    sub->add_option("--label", labels_, "NAME=VALUE to find the run by; repeatable")->allow_extra_args(false);
    sub->add_option("--answer", run_.answers,
                    "Answer for the next question, or QUESTION=KEY for one question or stage; repeatable")
        ->allow_extra_args(false);
    sub->add_flag("-d,--detach", run_.detach, "Print the run's id and do not follow it");
  }

  void AddValidate() {
    CLI::App* sub = Client("validate", "Say what is wrong with a workflow", validate_);
    sub->add_option("WORKFLOW", validate_.workflow,
                    "File of a workflow, else the name of one that the server knows")
        ->required();
    sub->add_option("--var", vars_, "NAME=VALUE of a variable in the source; repeatable")
        ->allow_extra_args(false);
  }

  void AddWorkflows() { Client("workflows", "List the workflows that the server knows by name", workflows_); }

  void AddPs() {
    CLI::App* sub = Client("ps", "List the runs that have not ended", ps_);
    sub->add_flag("-a,--all", ps_.all, "Those that have ended too");
    sub->add_option("--status", ps_.status, "Only runs in this state")
        ->check(
            CLI::IsMember({"queued", "starting", "running", "paused", "completed", "failed", "cancelled"}));
    sub->add_option("-n,--limit", ps_.limit, "At most so many (50)")->check(CLI::Range(1, 100'000));
  }

  void AddShow() {
    CLI::App* sub = Client("show", "Tell how a run is", show_);
    AddId(sub, show_.id);
  }

  void AddEvents() {
    CLI::App* sub = Client("events", "Tell what has happened in a run", events_);
    AddId(sub, events_.id);
    sub->add_flag("-f,--follow", events_.follow, "Go on until the run ends");
    sub->add_option("--after", events_.after, "Only events behind this one")->check(CLI::NonNegativeNumber);
  }

  void AddAnswer() {
    CLI::App* sub = Client("answer", "Answer a question of a run", answer_);
    AddId(sub, answer_.id);
    sub->add_option("WORDS", words_,
                    "[QUESTION] KEY: the question may be left out when only one is open; several "
                    "keys are separated by commas")
        ->expected(0, 2);
    sub->add_option("--text", answer_.text, "A text instead of a key");
  }

  void AddControl(const char* verb, const char* help) {
    auto& options = control_[verb];
    options = std::make_unique<ControlOptions>();
    options->verb = verb;
    CLI::App* sub = Client(verb, help, *options);
    AddId(sub, options->id);
  }

  void AddHistory() {
    CLI::App* checkpoints =
        Client("checkpoints", "List where a run can be taken back to or forked from", checkpoints_);
    AddId(checkpoints, checkpoints_.id);
    CLI::App* rewind = Client("rewind", "Take a run back to one of its checkpoints", rewind_);
    AddId(rewind, rewind_.id);
    rewind->add_option("CHECKPOINT", rewind_.checkpoint, "A number that fabro checkpoints lists")->required();
    CLI::App* fork = Client("fork", "Start a new run from a checkpoint of another", fork_);
    AddId(fork, fork_.id);
    fork->add_option("CHECKPOINT", fork_.checkpoint, "A number that fabro checkpoints lists; the last one");
    fork->add_option("--title", fork_.title, "A title for lists, instead of the other run's");
  }

  void AddRetros() {
    CLI::App* list = Client("retros", "List how the runs went that have ended", retros_);
    list->add_option("--workflow", retros_.workflow, "Only runs of this workflow");
    list->add_option("--smoothness", retros_.smoothness, "Only runs that went like this")
        ->check(CLI::IsMember({"effortless", "smooth", "bumpy", "struggled", "failed"}));
    list->add_option("-n,--limit", retros_.limit, "At most so many (50)")->check(CLI::Range(1, 100'000));
    CLI::App* one = Client("retro", "Tell how a run went that has ended", retro_);
    AddId(one, retro_.id);
  }

  void AddGraph() {
    CLI::App* sub = Client("graph", "Draw a run's workflow as SVG", graph_);
    AddId(sub, graph_.id);
    sub->add_option("-o,--output", graph_.output, "File to write instead of standard output");
  }

  void AddConfig() {
    CLI::App* config = app_.add_subcommand("config", "The server's configuration");
    config->require_subcommand(1);
    CLI::App* check = config->add_subcommand("check", "Check server.toml and print the settings in force");
    check->add_option("FILE", config_check_.file, "server.toml; FABRO_CONFIG, else ~/.fabro/server.toml");
    check->add_flag("--elsewhere", config_check_.elsewhere,
                    "It is for another machine: do not look at keys and certificates, which are not here");
    check->add_flag("--json", json_, "As JSON");
    check->callback([this] { command_ = [this] { return Command(config_check_); }; });
  }

  void AddHealth(bool with_core) {
    CLI::App* sub = Client("health", "Say whether the server takes work; for probes", health_);
    sub->footer(
        "Asks --server (or FABRO_SERVER); else the server that the configuration describes, on this "
        "machine.\n"
        "Exit codes: 0 it takes work, 1 it answers and does not, 2 wrong usage, 3 no answer.");
    sub->add_flag("--live", health_.live, "Only whether it answers");
    sub->add_option("--config", health_.config_path, "server.toml; FABRO_CONFIG, else ~/.fabro/server.toml");
    if (with_core) {
      sub->add_flag("--core", health_.core,
                    "Ask the core at gateway.core, with gateway.tls, as a gateway does");
    }
  }

  void AddServe() {
    CLI::App* sub = app_.add_subcommand("serve", "Serve the API from this process until it is stopped");
    sub->add_option("--config", serve_.config_path, "server.toml; FABRO_CONFIG, else ~/.fabro/server.toml");
    for (const config::Flag& flag : config::FlagsOf(config::Program::kServe)) {
      const auto add = [this, flag](const std::string& text) {
        serve_.overrides.push_back({std::string(flag.key), text, std::string(flag.name)});
      };
      if (flag.fixed.empty()) {
        sub->add_option_function<std::string>(std::string(flag.name), add, std::string(flag.help));
      } else {
        const std::string fixed(flag.fixed);
        sub->add_flag_callback(std::string(flag.name), [add, fixed] { add(fixed); }, std::string(flag.help));
      }
    }
    sub->callback([this] { command_ = [this] { return Command(serve_); }; });
  }

  ParsedArguments Parse(const std::vector<std::string>& args) {
    if (args.empty()) return {.exit_code = kExitUsage, .error = app_.help()};
    const std::vector<CLI::App*> known = app_.get_subcommands(std::function<bool(CLI::App*)>());
    const auto is_named = [&args](const CLI::App* sub) { return sub->get_name() == args[0]; };
    if (!args[0].starts_with('-') && std::ranges::none_of(known, is_named)) {
      return {.exit_code = kExitUsage,
              .error = StrCat("fabro: there is no command '", args[0], "'; fabro --help lists them\n")};
    }
    try {
      std::vector<std::string> reversed(args.rbegin(), args.rend());  // as CLI11 wants them
      app_.parse(reversed);
      return Finish();
    } catch (const CLI::ParseError& error) {
      std::ostringstream out;
      std::ostringstream err;
      const int code = app_.exit(error, out, err);
      return {.exit_code = code == 0 ? kExitOk : kExitUsage, .out = out.str(), .error = err.str()};
    }
  }

 private:
  // A subcommand that talks to the server; `filled` becomes the command.
  template <typename Options>
  CLI::App* Client(const char* name, const char* help, Options& filled) {
    CLI::App* sub = app_.add_subcommand(name, help);
    AddCommon(*sub);
    sub->callback([this, &filled] { command_ = [&filled] { return Command(filled); }; });
    return sub;
  }

  void AddCommon(CLI::App& app) {
    app.add_option("--server", server_, "URL of the server")->each([this](const std::string&) {
      server_is_named_ = true;
    });
    app.add_flag("--json", json_, "Print JSON");
    app.add_option("--ca", tls_.ca, "PEM file of the authority that vouches for an https:// server");
    app.add_option("--cert", tls_.cert, "PEM file of the certificate to show to it");
    app.add_option("--key", tls_.key, "PEM file of that certificate's key");
  }

  static void AddId(CLI::App* sub, std::string& id) {
    sub->add_option("ID", id, "The run: its id, or the beginning or end of it when that fits no other run")
        ->required();
  }

  static ParsedArguments WrongUsage(const std::string& message) {
    return {.exit_code = kExitUsage, .error = StrCat(message, "\nRun with --help for more information.\n")};
  }

  // NAME=VALUE words into a map; the first that is none, if any.
  static std::optional<std::string> IntoMap(const std::vector<std::string>& words,
                                            std::map<std::string, std::string>& map) {
    for (const std::string& word : words) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos || equals == 0) return word;
      map[word.substr(0, equals)] = word.substr(equals + 1);
    }
    return std::nullopt;
  }

  ParsedArguments Finish() {
    while (server_.ends_with('/')) server_.pop_back();
    if (HostOfUrl(server_).empty()) {
      return WrongUsage(StrCat("--server: \"", server_, "\" is no http:// or https:// URL"));
    }
    for (auto* map : {&run_.vars, &validate_.vars}) {
      if (const auto bad = IntoMap(vars_, *map))
        return WrongUsage(StrCat("--var: \"", *bad, "\" is not NAME=VALUE"));
    }
    if (const auto bad = IntoMap(labels_, run_.labels)) {
      return WrongUsage(StrCat("--label: \"", *bad, "\" is not NAME=VALUE"));
    }
    Arguments arguments{.server = server_, .json = json_, .tls = tls_, .command = command_()};
    if (auto* health = std::get_if<HealthOptions>(&arguments.command)) {
      if (server_is_named_) health->server = server_;
    }
    if (auto* answer = std::get_if<AnswerOptions>(&arguments.command)) {
      const std::size_t keys = answer->text ? 0 : 1;
      if (words_.size() < keys || words_.size() > keys + 1) {
        return WrongUsage("answer takes ID [QUESTION] KEY, or ID [QUESTION] --text TEXT");
      }
      if (words_.size() > keys) answer->question = words_[0];
      if (keys == 1) answer->key = words_.back();
    }
    return {.arguments = std::move(arguments)};
  }

  CLI::App app_;
  std::string server_;
  bool server_is_named_;  // by a flag or the environment
  bool json_ = false;
  ClientTls tls_;
  RunOptions run_;
  ValidateOptions validate_;
  WorkflowsOptions workflows_;
  PsOptions ps_;
  ShowRunOptions show_;
  EventsOptions events_;
  AnswerOptions answer_;
  std::map<std::string, std::unique_ptr<ControlOptions>> control_;
  CheckpointsOptions checkpoints_;
  RetrosOptions retros_;
  RetroOptions retro_;
  RewindOptions rewind_;
  ForkOptions fork_;
  GraphOptions graph_;
  ConfigCheckOptions config_check_;
  HealthOptions health_;
  ServeOptions serve_;
  std::vector<std::string> vars_;
  std::vector<std::string> labels_;
  std::vector<std::string> words_;
  std::function<Command()> command_;
};

}  // namespace

ParsedArguments ParseArguments(const std::vector<std::string>& args, const std::string& default_server,
                               bool with_serve) {
  Builder builder(default_server);
  if (with_serve) builder.AddServe();
  builder.AddRun();
  builder.AddValidate();
  builder.AddWorkflows();
  builder.AddPs();
  builder.AddShow();
  builder.AddEvents();
  builder.AddAnswer();
  builder.AddControl("cancel", "End a run");
  builder.AddControl("pause", "Hold a run before its next stage");
  builder.AddControl("unpause", "Let a paused run go on");
  builder.AddControl("delete", "Forget a run that has ended");
  builder.AddHistory();
  builder.AddRetros();
  builder.AddGraph();
  builder.AddConfig();
  builder.AddHealth(with_serve);
  return builder.Parse(args);
}

}  // namespace fabro::cli
