#include "core/sandbox/docker.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <utility>

#include "core/async/task_scope.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/sandbox/environment.h"
#include "core/sandbox/git_repository.h"

extern char** environ;

namespace fabro::sandbox {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kWorkspace = "/workspace";
constexpr std::size_t kMaxLabel = 100;
constexpr int kEngineFailed = 125;  // exit code of `docker run` when the command was not run
constexpr std::chrono::milliseconds kCallTimeout = std::chrono::seconds(60);

// What the engine's client goes by: where the engine is, and whose settings count.
Environment EngineEnvironment() {
  constexpr std::array<std::string_view, 5> kNames = {"PATH", "HOME", "USER", "LANG", "TMPDIR"};
  constexpr std::array<std::string_view, 3> kPrefixes = {"DOCKER_", "CONTAINER", "XDG_"};
  Environment env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool passed =
        std::ranges::find(kNames, name) != kNames.end() ||
        std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (passed && name.size() < text.size()) env.emplace_back(name, text.substr(name.size() + 1));
  }
  return env;
}

// One variable a line, read by the engine from a descriptor: others on this host see command lines.
absl::StatusOr<std::string> EnvironmentFile(const Environment& env) {
  std::string file;
  for (const auto& [name, value] : env) {
    const bool good = !name.empty() && name[0] != '#' &&
                      name.find_first_of(std::string_view("= \t\r\n\0", 6)) == std::string::npos &&
                      value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
    if (!good) {
      return InvalidArgument(
          Reason::kInvalidArgument, "sandbox.env",
          StrCat(
              "the environment variable ", JsonString(name),
              " cannot be set in a container: its value must be one line, and its name without white space "
              "and \"=\""));
    }
    file += StrCat(name, '=', value, '\n');
  }
  return file;
}

// The value of --mount is a line of CSV.
std::string Mount(const std::string& source, std::string_view target, bool read_only) {
  const auto field = [](std::string text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    return StrCat('"', ReplaceAll(text, "\"", "\"\""), '"');
  };
  return StrCat("type=bind,", field(StrCat("source=", source)), ',', field(StrCat("target=", target)),
                read_only ? ",readonly" : "");
}

bool Contains(const std::string& text, std::string_view part) {
  return ToLower(text).find(part) != std::string::npos;
}

std::string Hex(std::uint64_t bits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int digit = 0; digit < 8; ++digit, bits >>= 4) text += kDigits[bits & 15];
  return text;
}

// What the engine's client says went wrong, as an error of the stage.
absl::Status EngineError(std::string_view doing, const std::string& text) {
  const std::string message =
      StrCat(doing, ": ", Trim(text),
             ". See that docker (or podman) works for the user of this server, and that sandbox.docker.image "
             "names an image that is there or can be fetched.");
  if (Contains(text, "connect") || Contains(text, "timed out"))
    return Unavailable(Reason::kUpstream, "docker", message);
  return FailedPrecondition(Reason::kUpstream, "docker", message);
}

absl::StatusOr<std::string> Canonical(const std::string& path) {
  std::error_code failed;
  const fs::path found = fs::canonical(path, failed);
  if (failed)
    return NotFound(Reason::kNotFound, path, StrCat("the working directory ", path, " is not there"));
  return found.string();
}

void AddLimits(const config::SandboxBounds& bounds, std::vector<std::string>& argv) {
  const auto add = [&argv](std::string_view option, const std::string& value) {
    argv.emplace_back(option);
    argv.push_back(value);
  };
  if (!bounds.network) add("--network", "none");
  if (bounds.memory_bytes > 0) {
    add("--memory", StrCat(bounds.memory_bytes, 'b'));
    add("--memory-swap", StrCat(bounds.memory_bytes, 'b'));
  }
  if (bounds.max_processes > 0) add("--pids-limit", std::to_string(bounds.max_processes));
  if (bounds.cpu_seconds > 0) add("--ulimit", StrCat("cpu=", bounds.cpu_seconds, ':', bounds.cpu_seconds));
}

// An image that begins with "-" would be an option.
absl::Status CheckImage(const std::string& image) {
  if (image.empty()) {
    return FailedPrecondition(
        Reason::kInvalidArgument, "sandbox.docker.image",
        "the command was not run: its sandbox is docker, and sandbox.docker.image names "
        "no image. Set it, for example to \"debian:12\".");
  }
  const bool plain = std::isalnum(static_cast<unsigned char>(image[0])) != 0 &&
                     image.find_first_of(std::string_view(" \t\r\n\0", 5)) == std::string::npos;
  if (plain) return absl::OkStatus();
  return InvalidArgument(Reason::kInvalidArgument, "sandbox.docker.image",
                         StrCat("the command was not run: ", JsonString(image),
                                " is no name of an image. Set sandbox.docker.image to one, for example "
                                "\"debian:12\"."));
}

struct Plan {
  std::string container;
  HostCommand host;
};

absl::StatusOr<Plan> PlanFor(Containers& containers, const DockerOptions& options, const Command& command) {
  FABRO_RETURN_IF_ERROR(CheckImage(options.image));
  FABRO_ASSIGN_OR_RETURN(const std::string program, containers.Program());
  FABRO_ASSIGN_OR_RETURN(const std::string work, Canonical(command.work_dir));
  Environment extra = {{"HOME", "/tmp"}};
  extra.insert(extra.end(), options.env.begin(), options.env.end());
  extra.insert(extra.end(), command.env.begin(), command.env.end());

  Plan plan;
  plan.container = containers.NewName(command.label);
  HostCommand& host = plan.host;
  FABRO_ASSIGN_OR_RETURN(host.note, EnvironmentFile(ContainerEnvironment(extra)));
  host.argv = {program,          "run",
               "--rm",           "--init",
               "--name",         plan.container,
               "--label",        StrCat("fabro.owner=", containers.owner()),
               "--cap-drop",     "ALL",
               "--security-opt", "no-new-privileges",
               "--user",         StrCat(::getuid(), ':', ::getgid()),
               "--ulimit",       "core=0",
               "--workdir",      std::string(kWorkspace),
               "--env-file",     "/dev/fd/3",
               "--mount",        Mount(work, kWorkspace, false)};
  // Podman of a user who is not root would give the files to another one.
  if (program.ends_with("/podman") && ::getuid() != 0) host.argv.emplace_back("--userns=keep-id");
  if (!command.input.empty()) host.argv.emplace_back("--interactive");
  AddLimits(options.bounds, host.argv);
  std::vector<std::string> readable = command.readable;
  if (std::string repository = RepositoryOf(work); !repository.empty())
    readable.push_back(std::move(repository));
  for (const std::string& path : readable) {
    std::error_code failed;
    if (!fs::exists(path, failed)) continue;
    host.argv.emplace_back("--mount");
    host.argv.push_back(Mount(path, path, true));
  }
  // The image's own entry point is for what the image is for.
  host.argv.insert(host.argv.end(), {"--entrypoint", command.argv[0], options.image});
  host.argv.insert(host.argv.end(), command.argv.begin() + 1, command.argv.end());
  host.env = EngineEnvironment();
  host.dir = "/";
  host.timeout = command.timeout;
  host.input = command.input;
  return plan;
}

Task<void> RemoveInto(Containers* containers, std::string name, absl::Status* out) {
  *out = co_await containers->Remove(std::move(name));
}

// Whether the engine says so itself; a command may exit with 125, too.
bool IsEngineFailure(const CommandResult& result) {
  return result.exit_code == kEngineFailed &&
         (result.err.find("docker: ") != std::string::npos || result.err.find("Error") != std::string::npos ||
          Contains(result.err, "cannot connect"));
}

}  // namespace

Containers::Containers(BlockingPool& pool, HostOptions host, std::string search_path, std::string owner)
    : pool_(pool),
      host_(std::move(host)),
      search_path_(std::move(search_path)),
      owner_(std::move(owner)),
      prefix_(StrCat("fabro-", Hex(SystemRandom().Next()), '-')) {}

absl::StatusOr<std::string> Containers::Program() const {
  for (const char* name : {"docker", "podman"}) {
    std::string program = FindProgram(name, search_path_);
    if (!program.empty()) return program;
  }
  return FailedPrecondition(Reason::kUpstream, "docker",
                            "the command was not run: its sandbox is docker, but neither docker nor podman "
                            "is there. Install one of "
                            "them on the server, or choose another sandbox.provider.");
}

std::string Containers::NewName(std::string_view label) {
  std::string name = StrCat(prefix_, names_.fetch_add(1), '-');
  for (const char c : label.substr(0, kMaxLabel)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.';
    name += plain ? c : '_';
  }
  return name;
}

Task<absl::StatusOr<std::string>> Containers::Call(std::vector<std::string> arguments) {
  FABRO_CO_ASSIGN_OR_RETURN(const std::string program, Program());
  HostCommand host;
  host.argv = {program};
  host.argv.insert(host.argv.end(), arguments.begin(), arguments.end());
  host.env = EngineEnvironment();
  host.dir = "/";
  host.timeout = kCallTimeout;
  FABRO_CO_ASSIGN_OR_RETURN(const CommandResult result,
                            co_await RunOnHost(pool_, host_, std::move(host), nullptr));
  const std::string what = StrCat(fs::path(program).filename().string(), ' ', arguments[0]);
  if (result.end == CommandResult::End::kCancelled) co_return Cancelled(StrCat(what, " was cancelled"));
  if (result.end == CommandResult::End::kTimedOut)
    co_return EngineError(StrCat(what, " did not answer"), "it timed out");
  if (result.exit_code != 0) co_return EngineError(StrCat(what, " failed"), result.err);
  co_return result.out;
}

Task<absl::Status> Containers::Remove(std::string name) {
  std::vector<std::string> arguments{"rm", "--force", name};
  const absl::StatusOr<std::string> removed = co_await Call(std::move(arguments));
  const std::string message(removed.status().message());
  if (removed.ok() || Contains(message, "no such container") || Contains(message, "no container with") ||
      Contains(message, "already in progress"))
    co_return absl::OkStatus();
  co_return Unavailable(
      Reason::kUpstream, name,
      StrCat("the container ", name, " may be running still. Remove it with `docker rm --force ", name, "`. ",
             message));
}

Task<absl::Status> Containers::RemoveLeftovers() {
  if (no_leftovers_.load()) co_return absl::OkStatus();
  std::vector<std::string> list{"ps",       "--all",     "--filter", StrCat("label=fabro.owner=", owner_),
                                "--format", "{{.Names}}"};
  FABRO_CO_ASSIGN_OR_RETURN(const std::string names, co_await Call(std::move(list)));
  for (const std::string_view line : Split(names, '\n')) {
    const std::string name(Trim(line));
    if (!name.starts_with("fabro-") || name.starts_with(prefix_)) continue;
    FABRO_CO_RETURN_IF_ERROR(co_await Remove(name));
  }
  no_leftovers_ = true;
  co_return absl::OkStatus();
}

DockerSandbox::DockerSandbox(BlockingPool& pool, Containers& containers, DockerOptions options)
    : pool_(pool), containers_(containers), options_(std::move(options)) {}

Task<absl::StatusOr<CommandResult>> DockerSandbox::Run(Command command, OutputSink* sink) {
  // What an earlier server left may still write where this command works.
  FABRO_CO_ASSIGN_OR_RETURN(const std::string program, containers_.Program());
  FABRO_CO_RETURN_IF_ERROR(co_await containers_.RemoveLeftovers());
  auto make_plan = [&containers = containers_, options = options_, command = std::move(command)] {
    return PlanFor(containers, options, command);
  };
  FABRO_CO_ASSIGN_OR_RETURN(Plan plan, co_await RunBlocking(pool_, std::move(make_plan)));
  const absl::StatusOr<CommandResult> ran =
      co_await RunOnHost(pool_, options_.host, std::move(plan.host), sink);
  if (ran.ok() && ran->end == CommandResult::End::kExited && ran->exit_code < kEngineFailed) co_return ran;

  // The client is gone, which does not end the container. A caller that is cancelled waits for this, too.
  const Executor strand = co_await CurrentExecutor();
  absl::Status removed;
  TaskScope remover(strand);
  remover.SpawnOn(strand, "container removal", RemoveInto(&containers_, plan.container, &removed));
  co_await remover.Join();
  if (ran.ok() && ran->end == CommandResult::End::kExited && IsEngineFailure(*ran)) {
    co_return EngineError(StrCat("the command was not run: ", fs::path(program).filename().string(),
                                 " could not start its container"),
                          ran->err);
  }
  FABRO_CO_RETURN_IF_ERROR(removed);
  co_return ran;
}

}  // namespace fabro::sandbox
