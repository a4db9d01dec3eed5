#include "core/config/flags.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::config {
namespace {

constexpr std::string_view kConfig = "--config";
constexpr std::string_view kConfigHelp = "server.toml to read; FABRO_CONFIG, else ~/.fabro/server.toml";

// Which programs take a flag.
constexpr unsigned kInServe = 1;
constexpr unsigned kInCore = 2;
constexpr unsigned kInGateway = 4;
constexpr unsigned kInAll = 7;

struct Row {
  unsigned programs;
  Flag flag;
};

constexpr Row kRows[] = {
    {kInServe | kInGateway, {"--host", "api.host", "", "address to listen on (127.0.0.1)"}},
    {kInServe | kInGateway, {"--port", "api.port", "", "port to listen on, 0 for any free one (3000)"}},
    {kInCore, {"--listen", "core.listen", "", "unix:PATH or HOST:PORT (unix:STORAGE/core.sock)"}},
    {kInGateway, {"--core", "gateway.core", "", "where the core listens (unix:STORAGE/core.sock)"}},
    {kInAll, {"--storage-dir", "storage_dir", "", "database, run directories and sockets (~/.fabro)"}},
    {kInServe | kInCore,
     {"--max-concurrent-runs", "max_concurrent_runs", "", "runs at work at the same time (5)"}},
    {kInServe | kInCore,
     {"--sandbox", "sandbox.provider", "", "where commands run: local, bubblewrap or docker"}},
    {kInServe | kInCore, {"--provider", "llm.provider", "", "model provider"}},
    {kInServe | kInCore, {"--model", "llm.model", "", "model"}},
    {kInServe | kInCore, {"--dry-run", "llm.dry_run", "true", "simulate the stages that would call a model"}},
    {kInAll, {"--grace", "stop_grace", "", "how long stages may go on after SIGTERM (30s)"}},
    {kInAll, {"--log-level", "log.level", "", "debug, info, warn, error or off (info); also FABRO_LOG"}},
    {kInAll, {"--log-format", "log.format", "", "auto, text or json (auto: text on a terminal)"}},
    {kInAll, {"--debug", "log.level", "debug", "the same as --log-level debug"}},
};

unsigned BitOf(Program program) {
  switch (program) {
    case Program::kServe:
      return kInServe;
    case Program::kCore:
      return kInCore;
    case Program::kGateway:
      return kInGateway;
  }
  return 0;
}

absl::Status Usage(const std::string& message) {
  return InvalidArgument(Reason::kInvalidArgument, "", message);
}

absl::Status UnknownFlag(std::string_view name, const std::vector<Flag>& flags) {
  std::vector<std::string> names = {std::string(kConfig), "--help"};
  for (const Flag& flag : flags) names.emplace_back(flag.name);
  std::string message = StrCat(name, ": no such flag");
  if (const auto nearest = NearestWord(name, names)) message += StrCat("; did you mean ", *nearest, "?");
  return Usage(message);
}

}  // namespace

std::vector<Flag> FlagsOf(Program program) {
  std::vector<Flag> flags;
  for (const Row& row : kRows) {
    if ((row.programs & BitOf(program)) != 0) flags.push_back(row.flag);
  }
  return flags;
}

std::string HelpFor(Program program, std::string_view program_name) {
  static constexpr std::size_t kColumn = 30;
  std::string text = StrCat("Usage: ", program_name, " [flags]\n\n");
  const auto add = [&text](std::string_view name, bool takes_value, std::string_view help) {
    std::string left = StrCat("  ", name, takes_value ? " VALUE" : "");
    left.resize(std::max(left.size() + 1, kColumn), ' ');
    text += StrCat(left, help, "\n");
  };
  add(kConfig, true, kConfigHelp);
  for (const Flag& flag : FlagsOf(program)) add(flag.name, flag.fixed.empty(), flag.help);
  add("--help", false, "this text");
  return text;
}

absl::StatusOr<ParsedFlags> ParseFlags(Program program, const std::vector<std::string>& args) {
  const std::vector<Flag> flags = FlagsOf(program);
  ParsedFlags parsed;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    if (name == "--help" || name == "-h") {
      parsed.help = true;
      continue;
    }
    if (!name.starts_with("--")) return Usage(StrCat(args[i], ": flags only, no other words"));
    const auto flag = std::find_if(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == name; });
    if (flag == flags.end() && name != kConfig) return UnknownFlag(name, flags);
    if (flag != flags.end() && !flag->fixed.empty()) {
      if (equals != std::string::npos) return Usage(StrCat(name, " takes no value"));
      parsed.overrides.push_back({std::string(flag->key), std::string(flag->fixed), name});
      continue;
    }
    if (equals == std::string::npos && i + 1 == args.size()) return Usage(StrCat(name, " needs a value"));
    const std::string value = equals == std::string::npos ? args[++i] : args[i].substr(equals + 1);
    if (name == kConfig) {
      parsed.config_path = value;
    } else {
      parsed.overrides.push_back({std::string(flag->key), value, name});
    }
  }
  return parsed;
}

}  // namespace fabro::config
