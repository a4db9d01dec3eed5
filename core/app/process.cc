#include "core/app/process.h"

#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "core/app/live_config.h"
#include "core/async/blocking_pool.h"
#include "core/base/error.h"
#include "core/base/log.h"

namespace fabro::app {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

int WaitForStop(LiveConfig& live) {
  sigset_t set = StopSignals();
  sigaddset(&set, SIGHUP);
  constexpr timespec kOneSecond{.tv_sec = 1, .tv_nsec = 0};
  while (true) {
    const int signal = sigtimedwait(&set, nullptr, &kOneSecond);
    if (signal == SIGTERM || signal == SIGINT) return signal;
    if (signal == SIGHUP) {
      live.Reload();
    } else {
      live.Check();  // a second has passed, or a debugger came by
    }
  }
}

// What gRPC has to say goes into our log, in its form; such as the reasons for which handshakes fail.
void LogForGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn : LogLevel::kDebug;
  log::Write(level, args->message, {{"from", "grpc"}});
}

}  // namespace

void PrepareProcess() {
  gpr_set_log_function(LogForGrpc);
  sigset_t set = StopSignals();
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // A command of the local sandbox runs as the same user: it must not read the keys in our memory and
  // environment.
  ::prctl(PR_SET_DUMPABLE, 0);
  // Debian builds Abseil without NDEBUG, and then gRPC's every lock looks for deadlocks: a sixth of a
  // request's CPU.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

std::uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

void StopOnSignal(LiveConfig& live, const std::function<void()>& stop) {
  sigset_t set = StopSignals();
  int signal = WaitForStop(live);
  log::Info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  std::atomic<bool> stopped = false;
  BlockingPool stopper("stop", 1, 1);
  const pthread_t waiting = pthread_self();
  stopper.TryRun([&] {
    stop();
    stopped = true;
    pthread_kill(waiting, SIGTERM);  // wakes the wait below
  });
  while (!stopped) {
    if (sigwait(&set, &signal) == 0 && !stopped) {
      std::fputs("stopped at once; interrupted runs go on at the next start\n", stderr);
      ::_exit(kExitFailed);
    }
  }
}

int Fail(std::string_view program, const absl::Status& status) {
  log::Stop();
  PrintError(program, status);
  return kExitFailed;
}

void PrintError(std::string_view program, const absl::Status& status) {
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(program.size()), program.data(),
               MessageOf(status).c_str());
}

}  // namespace fabro::app
