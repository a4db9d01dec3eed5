// fabro-stage: runs one command and sees to it that nothing of it survives.
//
// It is the parent of everything the command starts: as a child subreaper it inherits processes that
// double-fork away. SIGTERM means stop: the command's process group gets SIGTERM, and after the grace period
// every descendant gets SIGKILL. When the server itself dies, the kernel sends SIGHUP here, and every
// descendant is killed at once. When the command ends by itself, what it left in the background is stopped in
// the same way. The exit code is the command's, or 128 + N if signal N ended it; 125 means that this program
// itself failed, 126 and 127 are those of a shell.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

constexpr int kOwnFailure = 125;

long long NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

// Sends a signal to each direct child. Orphans become direct children, so repeating it reaches all
// descendants. False when there is none.
bool SignalChildren(int signal) {
  const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char text[4096];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return false;
  text[size] = '\0';
  bool any = false;
  for (char* at = strtok(text, " \n"); at != nullptr; at = strtok(nullptr, " \n")) {
    const int pid = atoi(at);
    if (pid > 1) {
      kill(pid, signal);
      any = true;
    }
  }
  return any;
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

void KillEverything(Command& command) {
  while (Reap(command)) {
    SignalChildren(SIGKILL);
    const timespec moment{0, 5'000'000};
    nanosleep(&moment, nullptr);
  }
}

// Waits until no child is left or the time is over; a SIGHUP cuts it short.
void WaitForChildren(Command& command, const sigset_t& watched, long long until_ms) {
  while (Reap(command)) {
    const long long left = until_ms - NowMs();
    if (left <= 0) return;
    const timespec wait{static_cast<time_t>(left / 1000), static_cast<long>(left % 1000 * 1'000'000)};
    if (sigtimedwait(&watched, nullptr, &wait) == SIGHUP) return;
  }
}

[[noreturn]] void Exec(char** argv, const sigset_t& inherited) {
  setpgid(0, 0);
  sigprocmask(SIG_SETMASK, &inherited, nullptr);
  execvp(argv[0], argv);
  const int error = errno;
  fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
  _exit(error == ENOENT ? 127 : 126);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || strcmp(argv[2], "--") != 0) {
    fprintf(stderr,
            "usage: fabro-stage GRACE_MS -- COMMAND [ARGUMENT...]\nRuns a stage's command for the server.\n");
    return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : kOwnFailure;
  }
  const long long grace_ms = atoll(argv[1]);
  sigset_t watched, inherited;
  sigemptyset(&watched);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, &inherited);
  const pid_t server = getppid();
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || prctl(PR_SET_PDEATHSIG, SIGHUP) != 0) {
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
  if (command.pid == 0) Exec(argv + 3, inherited);
  setpgid(command.pid, command.pid);  // both sides do it, so that neither can be late
  // The pipes belong to the command: their end must tell that it and all it started are gone.
  close(1);

  bool stop = false;
  bool at_once = false;
  while (!command.ended && !stop) {
    int signal = 0;
    if (sigwait(&watched, &signal) != 0) continue;
    if (signal == SIGCHLD) {
      Reap(command);
    } else {
      stop = true;
      at_once = signal == SIGHUP;
    }
  }
  if (!at_once) {
    if (!command.ended) kill(-command.pid, SIGTERM);
    // A command that ended by itself leaves its background processes a moment only.
    const bool leftovers = Reap(command) && (command.ended ? SignalChildren(SIGTERM) : true);
    if (leftovers)
      WaitForChildren(command, watched,
                      NowMs() + (command.ended ? (grace_ms < 1000 ? grace_ms : 1000) : grace_ms));
  }
  KillEverything(command);
  return command.code;
}
