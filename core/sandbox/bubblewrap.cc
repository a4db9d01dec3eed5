#include "core/sandbox/bubblewrap.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/sandbox/environment.h"
#include "core/sandbox/git_repository.h"

namespace fabro::sandbox {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kHelper = "/run/fabro-stage";
constexpr std::string_view kHome = "/tmp/home";
constexpr std::string_view kTmp = "/tmp";

// Of every host: what people, services and the system keep to themselves, and sockets, which a read-only
// mount does not close.
constexpr std::array kHidden = {"/root",         "/home",      "/run",         "/var/run",   "/tmp",
                                "/var/tmp",      "/var/lib",   "/var/spool",   "/var/mail",  "/var/log",
                                "/var/www",      "/srv",       "/mnt",         "/media",     "/boot",
                                "/var/cache",    "/var/crash", "/sys/fs",      "/etc/ssh",   "/sys/kernel",
                                "/sys/firmware", "/etc/fabro", "/var/backups", "/lost+found"};

// A server that runs as root is root for these files whatever its capabilities are.
constexpr std::array kReadOnlyOfProc = {"/proc/sys",      "/proc/fs",   "/proc/sysrq-trigger",
                                        "/proc/pressure", "/proc/mtrr", "/proc/driver"};
constexpr std::array kHiddenOfProc = {
    "/proc/acpi",        "/proc/kcore",      "/proc/keys",       "/proc/key-users",     "/proc/kmsg",
    "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/latency_stats", "/proc/scsi",
    "/proc/slabinfo",    "/proc/timer_list", "/proc/asound",     "/proc/vmallocinfo",   "/proc/config.gz"};

// Where no working directory may be: it would be the way out, or is none.
constexpr std::array kNoWorkDir = {"/proc", "/sys",  "/dev", "/etc",  "/usr",
                                   "/bin",  "/sbin", "/lib", "/lib64"};

constexpr std::string_view kInstall =
    "Install the package bubblewrap on the server, or choose another sandbox.provider.";

std::string Canonical(const std::string& path) {
  std::error_code failed;
  const fs::path found = fs::canonical(path, failed);
  return failed ? "" : found.string();
}

bool IsBelow(std::string_view path, std::string_view folder) {
  if (folder == "/") return path != "/";
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

bool IsAtOrBelow(std::string_view path, std::string_view folder) {
  return path == folder || IsBelow(path, folder);
}

bool IsBelowAny(const std::string& path, const std::set<std::string>& folders) {
  return std::ranges::any_of(folders, [&](const std::string& folder) { return IsBelow(path, folder); });
}

// The home directories of people and of this server.
std::vector<std::string> Homes() {
  std::vector<std::string> homes;
  if (const char* home = std::getenv("HOME")) homes.emplace_back(home);
  std::ifstream passwd("/etc/passwd");
  for (std::string line; std::getline(passwd, line);) {
    const std::vector<std::string_view> fields = Split(line, ':');
    if (fields.size() < 7) continue;
    const long long uid = ParseInt(fields[2]).value_or(0);
    if (uid == 0 || (uid >= 1000 && uid < 65534)) homes.emplace_back(fields[5]);
  }
  // A home that is the whole host, or where its programs are, is nobody's.
  std::erase_if(homes, [](const std::string& home) {
    const std::string path = Canonical(home);
    return path.empty() || path == "/" ||
           std::ranges::any_of(kNoWorkDir, [&](const char* system) { return IsAtOrBelow(path, system); });
  });
  return homes;
}

// What not everyone may read in /etc: keys and passwords, whatever programs keep there.
std::vector<std::string> SecretsOfEtc() {
  std::vector<std::string> secrets;
  std::error_code failed;
  fs::recursive_directory_iterator at("/etc", fs::directory_options::skip_permission_denied, failed);
  while (!failed && at != fs::recursive_directory_iterator()) {
    std::error_code gone;
    const fs::file_status status = at->symlink_status(gone);
    const bool is_dir = fs::is_directory(status);
    const fs::perms wanted =
        is_dir ? fs::perms::others_read | fs::perms::others_exec : fs::perms::others_read;
    if (!gone && !fs::is_symlink(status) && (status.permissions() & wanted) != wanted) {
      secrets.push_back(at->path().string());
      if (is_dir) at.disable_recursion_pending();
    }
    at.increment(failed);
  }
  return secrets;
}

// What is hidden of this host, by canonical path.
struct Hidden {
  std::set<std::string> folders;
  std::set<std::string> files;

  void Add(const std::string& path) {
    const std::string found = Canonical(path);
    std::error_code failed;
    if (found.empty() || found == "/") return;
    (fs::is_directory(found, failed) ? folders : files).insert(found);
  }
};

Hidden HiddenOnThisHost(const std::vector<std::string>& of_server) {
  Hidden hidden;
  for (const char* path : kHidden) hidden.Add(path);
  for (const std::string& path : Homes()) hidden.Add(path);
  for (const std::string& path : SecretsOfEtc()) hidden.Add(path);
  for (const std::string& path : of_server) hidden.Add(path);
  return hidden;
}

// A text that can be no argument or variable would be cut short, or begin another.
absl::Status CheckEnvironment(const Environment& env) {
  for (const auto& [name, value] : env) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos ||
        value.find('\0') != std::string::npos) {
      return InvalidArgument(
          Reason::kInvalidArgument, "sandbox.env",
          StrCat("the environment variable \"", ReplaceAll(name, std::string_view("\0", 1), "?"),
                 "\" cannot be set: neither name nor value may hold a zero byte, nor the name a \"=\""));
    }
  }
  return absl::OkStatus();
}

// The options of bwrap, in the order in which it obeys them.
class Arguments {
 public:
  template <typename... Parts>
  void Add(const Parts&... parts) {
    ((text_ += parts, text_ += '\0'), ...);
  }
  // An empty folder that nothing can be written to once Seal() has been reached.
  void Hide(const std::string& folder) {
    Add("--perms", "0555", "--tmpfs", folder);
    sealed_.push_back(folder);
  }
  void Seal() {
    for (const std::string& folder : sealed_) Add("--remount-ro", folder);
  }
  void MaskFile(const std::string& file) { Add("--ro-bind", "/dev/null", file); }
  void Memory(const config::SandboxBounds& bounds, std::string_view folder) {
    if (bounds.memory_bytes > 0) Add("--size", std::to_string(bounds.memory_bytes));
    Add("--perms", "1777", "--tmpfs", folder);
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::vector<std::string> sealed_;
};

absl::StatusOr<std::string> WorkDir(const std::string& given, const Hidden& hidden) {
  const std::string work = Canonical(given);
  if (work.empty()) {
    return NotFound(Reason::kNotFound, given, StrCat("the working directory ", given, " is not there"));
  }
  const bool is_system = work == "/" || std::ranges::any_of(kNoWorkDir, [&](const char* system) {
                           return IsAtOrBelow(work, system);
                         });
  if (is_system || hidden.folders.contains(work)) {
    return FailedPrecondition(
        Reason::kInvalidArgument, given,
        StrCat(
            "the working directory ", work, " cannot be used in the bubblewrap sandbox, which ",
            is_system ? "keeps the system's folders read-only" : "hides it from commands",
            ". Use a folder inside a home directory or a mounted disk, or none: each run then has its own."));
  }
  return work;
}

// What of the host a command sees: everything to read, without what is hidden; its own folder to write.
void MountHost(const Hidden& hidden, const std::string& work, const std::vector<std::string>& readable,
               const config::SandboxBounds& bounds, Arguments& args) {
  args.Add("--ro-bind", "/", "/", "--dev", "/dev");
  args.Memory(bounds, "/dev/shm");
  args.Add("--remount-ro", "/dev", "--proc", "/proc");

  // Folders shown where they are hidden; those that hold others first.
  std::set<std::string> shown;
  for (const std::string& path : readable) {
    const std::string found = Canonical(path);
    if (!found.empty() && found != "/" && !IsAtOrBelow(found, work)) shown.insert(found);
  }
  std::set<std::string> opened = shown;
  opened.insert(work);

  for (const std::string& folder : hidden.folders) {
    if (folder == kTmp) {
      args.Memory(bounds, kTmp);
    } else if (!IsBelowAny(folder, hidden.folders) && !IsBelow(folder, work)) {
      args.Hide(folder);
    }
  }
  for (const std::string& path : opened) args.Add(path == work ? "--bind" : "--ro-bind", path, path);
  // What is hidden inside of what was opened just now.
  for (const std::string& folder : hidden.folders) {
    if (IsBelowAny(folder, opened)) args.Hide(folder);
  }
  for (const std::string& file : hidden.files) {
    if (!IsBelowAny(file, hidden.folders) || IsBelowAny(file, opened)) args.MaskFile(file);
  }
}

void MountProc(Arguments& args) {
  std::error_code failed;
  for (const char* path : kReadOnlyOfProc) args.Add("--ro-bind-try", path, path);
  for (const char* path : kHiddenOfProc) {
    if (!fs::exists(path, failed)) continue;
    if (fs::is_directory(path, failed)) args.Hide(path);
    if (!fs::is_directory(path, failed)) args.MaskFile(path);
  }
}

absl::StatusOr<HostCommand> Plan(const BubblewrapOptions& options, const Command& command) {
  const std::string program = FindProgram("bwrap", options.search_path);
  if (program.empty()) {
    return FailedPrecondition(
        Reason::kUpstream, "bwrap",
        StrCat("the command was not run: its sandbox is bubblewrap, but the program bwrap is not there. ",
               kInstall));
  }
  Environment extra = {{"HOME", std::string(kHome)}, {"TMPDIR", std::string(kTmp)}};
  extra.insert(extra.end(), options.env.begin(), options.env.end());
  extra.insert(extra.end(), command.env.begin(), command.env.end());
  FABRO_RETURN_IF_ERROR(CheckEnvironment(extra));

  const Hidden hidden = HiddenOnThisHost(options.hidden);
  FABRO_ASSIGN_OR_RETURN(const std::string work, WorkDir(command.work_dir, hidden));
  std::vector<std::string> readable = command.readable;
  if (std::string repository = RepositoryOf(work); !repository.empty())
    readable.push_back(std::move(repository));
  // Under /run with many resolvers; of no use without a network.
  if (options.bounds.network) readable.emplace_back("/etc/resolv.conf");

  Arguments args;
  args.Add("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try");
  if (!options.bounds.network) args.Add("--unshare-net");
  args.Add("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--as-pid-1");
  args.Add("--hostname", "fabro");
  MountHost(hidden, work, readable, options.bounds, args);
  MountProc(args);
  args.Add("--ro-bind", HelperPath(options.host), kHelper);
  args.Add("--perms", "0700", "--dir", kHome);
  args.Seal();
  args.Add("--chdir", work, "--clearenv");
  for (const auto& [name, value] : SafeEnvironment(extra)) args.Add("--setenv", name, value);

  const HostLimits limits{options.bounds.memory_bytes, options.bounds.max_processes,
                          options.bounds.cpu_seconds};
  HostCommand host;
  // Nothing of what the command is given counts for the programs that run outside of its sandbox.
  host.env = {{"PATH", "/usr/bin:/bin"}};
  host.argv = {program, "--args", "3", "--"};
  const std::vector<std::string> inside =
      HelperInside(std::string(kHelper), options.host, limits, command.argv);
  host.argv.insert(host.argv.end(), inside.begin(), inside.end());
  host.dir = "/";
  host.timeout = command.timeout;
  host.input = command.input;
  host.note = args.Take();
  host.watch = limits;
  return host;
}

}  // namespace

BubblewrapSandbox::BubblewrapSandbox(BlockingPool& pool, BubblewrapOptions options)
    : pool_(pool), options_(std::move(options)) {}

Task<absl::StatusOr<CommandResult>> BubblewrapSandbox::Run(Command command, OutputSink* sink) {
  auto plan = [options = options_, command = std::move(command)] { return Plan(options, command); };
  FABRO_CO_ASSIGN_OR_RETURN(HostCommand host, co_await RunBlocking(pool_, std::move(plan)));
  absl::StatusOr<CommandResult> ran = co_await RunOnHost(pool_, options_.host, std::move(host), sink);
  if (ran.ok() && ran->end == CommandResult::End::kExited && ran->exit_code != 0 &&
      ran->err.starts_with("bwrap: ")) {
    co_return FailedPrecondition(
        Reason::kUpstream, "bwrap",
        StrCat("the command was not run, because bubblewrap could not make its sandbox: ", Trim(ran->err),
               ". The server must be allowed to make user namespaces (sysctl user.max_user_namespaces; in a "
               "container its seccomp and AppArmor profiles), or choose another sandbox.provider."));
  }
  co_return ran;
}

}  // namespace fabro::sandbox
