// fabro-stage: runs one command and sees to it that nothing of it survives.
//
// It is the parent of everything the command starts: as a child subreaper it inherits processes that
// double-fork away. SIGTERM means stop: the command's process group gets SIGTERM, and after the grace period
// every descendant gets SIGKILL. When the server itself dies, the kernel sends SIGHUP here, and every
// descendant is killed at once. When the command ends by itself, what it left in the background is stopped in
// the same way. The exit code is the command's, or 128 + N if signal N ended it; 125 means that this program
// itself failed, 126 and 127 are those of a shell.
//
// A sandbox made of namespaces has two of it. The one outside runs the program that makes the sandbox, passes
// SIGTERM on to the one inside, and watches what all processes together take of memory, processes and CPU
// time: too much, and all of them are killed. The one inside is the first process of the sandbox; it runs the
// command as described above, and within limits of the kernel.

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

namespace {

constexpr int kOwnFailure = 125;

long long NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

constexpr int kKilled = 128 + SIGKILL;
constexpr long long kPollMs = 50;         // how often usage is looked at
constexpr long long kResendMs = 200;      // how often the one inside is told to stop
constexpr std::size_t kMaxTasks = 65536;  // more are not looked at
constexpr long long kSandboxTasks = 2;    // the program that makes the sandbox, and the helper inside

enum class Place { kAlone, kOutside, kInside };

// 0: no limit.
struct Limits {
  long long memory_bytes = 0;
  long long processes = 0;  // threads count, as they do for the kernel
  long long cpu_seconds = 0;
  bool any() const { return memory_bytes > 0 || processes > 0 || cpu_seconds > 0; }
};

// The beginning of a file of /proc; empty when it is gone.
std::string ReadProc(const std::string& path) {
  std::string text(4096, '\0');
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const ssize_t size = read(fd, text.data(), text.size());
  close(fd);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

std::vector<pid_t> Pids(const std::string& text) {
  std::vector<pid_t> pids;
  const char* at = text.c_str();
  for (char* end = nullptr;; at = end) {
    const long pid = strtol(at, &end, 10);
    if (end == at) return pids;
    if (pid > 1) pids.push_back(static_cast<pid_t>(pid));
  }
}

std::vector<std::string> TasksOf(pid_t pid) {
  std::vector<std::string> tasks;
  const std::string path = "/proc/" + std::to_string(pid) + "/task";
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return tasks;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') tasks.push_back(path + "/" + entry->d_name);
  }
  closedir(dir);
  return tasks;
}

// A line of /proc/PID/status in kB, as bytes; 0 when there is none.
long long StatusBytes(const std::string& status, const char* name) {
  const std::size_t at = status.find(name);
  return at == std::string::npos ? 0 : atoll(status.c_str() + at + strlen(name)) * 1024;
}

// CPU time of a process and of those it has waited for, in clock ticks.
long long CpuTicks(pid_t pid) {
  const std::string stat = ReadProc("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  long long user = 0, system = 0, waited_user = 0, waited_system = 0;
  // After the name: state, ten fields of no interest, then the four times.
  if (sscanf(stat.c_str() + name_end + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld %lld %lld %lld",
             &user, &system, &waited_user, &waited_system) != 4)
    return 0;
  return user + system + waited_user + waited_system;
}

// What the descendants take together. Empty text, or what of it is too much.
std::string TooMuch(const Limits& limits) {
  long long memory = 0, tasks = 0, ticks = 0;
  std::vector<pid_t> waiting = Pids(ReadProc("/proc/thread-self/children"));
  while (!waiting.empty() && static_cast<std::size_t>(tasks) < kMaxTasks) {
    const pid_t pid = waiting.back();
    waiting.pop_back();
    for (const std::string& task : TasksOf(pid)) {
      ++tasks;
      for (const pid_t child : Pids(ReadProc(task + "/children"))) waiting.push_back(child);
    }
    if (limits.processes > 0 && tasks > limits.processes + kSandboxTasks)
      return "it had more than " + std::to_string(limits.processes) + " processes and threads";
    if (limits.memory_bytes > 0) {
      const std::string status = ReadProc("/proc/" + std::to_string(pid) + "/status");
      memory += StatusBytes(status, "RssAnon:") + StatusBytes(status, "RssShmem:");
    }
    if (limits.cpu_seconds > 0) ticks += CpuTicks(pid);
  }
  if (limits.memory_bytes > 0 && memory > limits.memory_bytes)
    return "it held more than " + std::to_string(limits.memory_bytes) + " bytes of memory";
  if (limits.cpu_seconds > 0 && ticks > limits.cpu_seconds * sysconf(_SC_CLK_TCK))
    return "it took more than " + std::to_string(limits.cpu_seconds) + " seconds of CPU time";
  return "";
}

// For the command itself, and a little above: the watch outside comes first and says which limit it was.
bool SetLimits(const Limits& limits) {
  const auto set = [](auto what, long long value) {
    const rlimit both{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
    return setrlimit(what, &both) == 0;
  };
  return set(RLIMIT_CORE, 0) && (limits.memory_bytes == 0 || set(RLIMIT_DATA, limits.memory_bytes)) &&
         (limits.processes == 0 || set(RLIMIT_NPROC, limits.processes + kSandboxTasks + 16)) &&
         (limits.cpu_seconds == 0 || set(RLIMIT_CPU, limits.cpu_seconds + 2));
}

// Sends a signal to each direct child. Orphans become direct children, so repeating it reaches all
// descendants. False when there is none.
bool SignalChildren(int signal) {
  const std::vector<pid_t> children = Pids(ReadProc("/proc/thread-self/children"));
  for (const pid_t pid : children) kill(pid, signal);
  return !children.empty();
}

struct Command {
  pid_t pid = -1;
  bool ended = false;
  int code = 0;
};

// Reaps whatever has ended. False when no child is left.
bool Reap(Command& command) {
  while (true) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0) return true;
    if (pid < 0) return errno == EINTR;
    if (pid == command.pid) {
      command.ended = true;
      command.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}

// Before whatever else wants to run. Refused to all but root, whose processes alone the kernel does not
// count: a fork bomb must outrun neither the watch nor its own end.
void Hurry(pid_t pid) {
  const sched_param least{1};
  (void)sched_setscheduler(pid, SCHED_RR, &least);
}

// The first process of the sandbox that the command makes; none while it is being made.
std::vector<pid_t> FirstInside(const Command& command) {
  const std::string pid = std::to_string(command.pid);
  return Pids(ReadProc("/proc/" + pid + "/task/" + pid + "/children"));
}

// The kernel kills all of a namespace when its first process ends, and lets none of them fork any more.
void KillSandbox(const Command& command) {
  for (const pid_t first : FirstInside(command)) {
    Hurry(first);
    kill(first, SIGKILL);
  }
  Hurry(command.pid);
}

void KillEverything(Command& command) {
  while (Reap(command)) {
    SignalChildren(SIGKILL);
    const timespec moment{0, 5'000'000};
    nanosleep(&moment, nullptr);
  }
}

// Tells the command to stop. The sandbox's program would die of the signal and take the command with it, so
// it goes to the one inside, which passes it on.
void AskToStop(const Command& command, Place place) {
  const std::vector<pid_t> inside = place == Place::kOutside ? FirstInside(command) : std::vector<pid_t>();
  if (inside.empty()) kill(-command.pid, SIGTERM);
  for (const pid_t helper : inside) kill(helper, SIGTERM);
}

struct Watch {
  sigset_t signals;
  Limits limits;  // what all descendants together may take

  // The next signal; 0 when the time was over before. `too_much` is set as soon as it is.
  int Next(long long until_ms, std::string* too_much) const {
    while (true) {
      const long long left = until_ms - NowMs();
      if (left <= 0) return 0;
      const long long step = limits.any() && left > kPollMs ? kPollMs : left;
      const timespec wait{static_cast<time_t>(step / 1000), static_cast<long>(step % 1000 * 1'000'000)};
      const int signal = sigtimedwait(&signals, nullptr, &wait);
      if (limits.any()) *too_much = TooMuch(limits);
      if (signal > 0 || !too_much->empty()) return signal > 0 ? signal : 0;
    }
  }
};

// Waits until no child is left or the time is over; a SIGHUP or too much of anything cuts it short. `again`
// repeats the request to stop, as it is lost while a sandbox is being made.
void WaitForChildren(Command& command, const Watch& watch, long long until_ms, bool again,
                     std::string* too_much) {
  while (Reap(command) && NowMs() < until_ms) {
    const long long step_ms = again ? NowMs() + kResendMs : until_ms;
    const int signal = watch.Next(step_ms < until_ms ? step_ms : until_ms, too_much);
    if (signal == SIGHUP || !too_much->empty()) return;
    if (signal == 0 && again && !command.ended) AskToStop(command, Place::kOutside);
  }
}

[[noreturn]] void Exec(char** argv, const sigset_t& inherited, Place place, const Limits& limits) {
  setpgid(0, 0);
  if (place == Place::kInside && !SetLimits(limits)) {
    perror("fabro-stage: setting limits");
    _exit(kOwnFailure);
  }
  // The kernel does not count the processes of root: what ends a fork bomb of it must come first by other
  // means.
  if (place == Place::kInside && limits.processes > 0 && getuid() == 0)
    (void)setpriority(PRIO_PROCESS, 0, 10);
  sigprocmask(SIG_SETMASK, &inherited, nullptr);
  execvp(argv[0], argv);
  const int error = errno;
  fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
  _exit(error == ENOENT ? 127 : 126);
}

struct Options {
  long long grace_ms = 0;
  Place place = Place::kAlone;
  Limits limits;
  char** command = nullptr;
};

bool Parse(int argc, char** argv, Options* options) {
  if (argc < 4) return false;
  options->grace_ms = atoll(argv[1]);
  int at = 2;
  if (argc > 7 && (strcmp(argv[2], "--outside") == 0 || strcmp(argv[2], "--inside") == 0)) {
    options->place = argv[2][2] == 'o' ? Place::kOutside : Place::kInside;
    options->limits = {atoll(argv[3]), atoll(argv[4]), atoll(argv[5])};
    at = 6;
  }
  options->command = argv + at + 1;
  return strcmp(argv[at], "--") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    fprintf(
        stderr,
        "usage: fabro-stage GRACE_MS [--outside|--inside MEMORY PROCESSES CPU] -- COMMAND [ARGUMENT...]\n"
        "Runs a stage's command for the server. The limits are bytes, a number and seconds; 0 is none.\n");
    return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : kOwnFailure;
  }
  Watch watch;
  sigset_t inherited;
  sigemptyset(&watch.signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&watch.signals, signal);
  sigprocmask(SIG_BLOCK, &watch.signals, &inherited);
  if (options.place == Place::kOutside) watch.limits = options.limits;
  const pid_t server = getppid();
  // The first process of a sandbox is killed with its parent already.
  const bool told = options.place == Place::kInside || prctl(PR_SET_PDEATHSIG, SIGHUP) == 0;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || !told) {
    perror("fabro-stage: prctl");
    return kOwnFailure;
  }
  if (getppid() != server) return kOwnFailure;  // the server died before the kernel would have told us

  Command command;
  command.pid = fork();
  if (command.pid < 0) {
    perror("fabro-stage: fork");
    return kOwnFailure;
  }
  if (command.pid == 0) Exec(options.command, inherited, options.place, options.limits);
  setpgid(command.pid, command.pid);  // both sides do it, so that neither can be late
  // The pipes belong to the command: their end must tell that it and all it started are gone.
  close(1);
  if (watch.limits.any()) Hurry(0);

  bool stop = false;
  bool at_once = false;
  std::string too_much;
  while (!command.ended && !stop && too_much.empty()) {
    const int signal = watch.Next(NowMs() + 3'600'000, &too_much);
    if (signal == SIGCHLD) {
      Reap(command);
    } else if (signal > 0) {
      stop = true;
      at_once = signal == SIGHUP;
    }
  }
  if (!at_once && too_much.empty()) {
    if (!command.ended) AskToStop(command, options.place);
    // A command that ended by itself leaves its background processes a moment only.
    const bool leftovers = Reap(command) && (command.ended ? SignalChildren(SIGTERM) : true);
    const long long moment_ms = options.grace_ms < 1000 ? options.grace_ms : 1000;
    if (leftovers)
      WaitForChildren(command, watch, NowMs() + (command.ended ? moment_ms : options.grace_ms),
                      options.place == Place::kOutside, &too_much);
  }
  if (options.place == Place::kOutside && !command.ended) KillSandbox(command);
  KillEverything(command);
  if (too_much.empty()) return command.code;
  fprintf(stderr, "fabro: the command was killed because %s, which is its limit\n", too_much.c_str());
  return kKilled;
}
