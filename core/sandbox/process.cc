#include "core/sandbox/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::sandbox {
namespace asio = boost::asio;
namespace {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

absl::Status MakePipe(Fd& read_end, Fd& write_end) {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "making a pipe");
  read_end.Reset(ends[0]);
  write_end.Reset(ends[1]);
  return absl::OkStatus();
}

// A file in memory, at its beginning: unlike a pipe, it takes any size without a writer.
absl::Status MakeInput(std::string_view input, Fd& out) {
  out.Reset(input.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC) : ::memfd_create("stdin", MFD_CLOEXEC));
  if (out.get() < 0) return ErrnoError(errno, "making a command's standard input");
  while (!input.empty()) {
    const ssize_t written = ::write(out.get(), input.data(), input.size());
    if (written < 0 && errno != EINTR) return ErrnoError(errno, "writing a command's standard input");
    if (written > 0) input.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(out.get(), 0, SEEK_SET) != 0 && errno != ESPIPE)
    return ErrnoError(errno, "rewinding standard input");
  return absl::OkStatus();
}

// posix_spawn's own setup, freed on every way out.
struct SpawnSetup {
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

int ExitCodeOf(int wait_status) {
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  return 128 + WTERMSIG(wait_status);
}

}  // namespace

absl::StatusOr<ProcessHandles> StartProcess(const std::vector<std::string>& argv, const Environment& env,
                                            const std::string& work_dir, std::string_view input,
                                            std::string_view note) {
  FABRO_CHECK(!argv.empty());
  Fd out_read, out_write, err_read, err_write;
  FABRO_RETURN_IF_ERROR(MakePipe(out_read, out_write));
  FABRO_RETURN_IF_ERROR(MakePipe(err_read, err_write));

  Fd in, beside;
  FABRO_RETURN_IF_ERROR(MakeInput(input, in));
  if (!note.empty()) FABRO_RETURN_IF_ERROR(MakeInput(note, beside));

  SpawnSetup setup;
  posix_spawn_file_actions_adddup2(&setup.actions, in.get(), 0);
  posix_spawn_file_actions_adddup2(&setup.actions, out_write.get(), 1);
  posix_spawn_file_actions_adddup2(&setup.actions, err_write.get(), 2);
  if (!note.empty()) posix_spawn_file_actions_adddup2(&setup.actions, beside.get(), 3);
  // Libraries open sockets without CLOEXEC: no command may hold a client's connection or our listener.
  posix_spawn_file_actions_addclosefrom_np(&setup.actions, note.empty() ? 3 : 4);
  posix_spawn_file_actions_addchdir_np(&setup.actions, work_dir.c_str());
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&setup.attributes, &none);
  posix_spawnattr_setsigdefault(&setup.attributes, &all);
  posix_spawnattr_setflags(&setup.attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> pairs;
  for (const auto& [name, value] : env) pairs.push_back(StrCat(name, '=', value));
  std::vector<char*> arguments, variables;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  for (const std::string& pair : pairs) variables.push_back(const_cast<char*>(pair.c_str()));
  arguments.push_back(nullptr);
  variables.push_back(nullptr);

  ProcessHandles handles;
  const int failed = posix_spawnp(&handles.pid, arguments[0], &setup.actions, &setup.attributes,
                                  arguments.data(), variables.data());
  if (failed != 0) return ErrnoError(failed, StrCat("starting ", argv[0], " in ", work_dir));
  handles.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, handles.pid, 0));
  if (handles.pidfd < 0) {
    const int error = errno;
    ::kill(handles.pid, SIGKILL);
    ::waitpid(handles.pid, nullptr, 0);
    return ErrnoError(error, "pidfd_open");
  }
  ::fcntl(handles.pidfd, F_SETFD, FD_CLOEXEC);
  handles.out = out_read.Release();
  handles.err = err_read.Release();
  return handles;
}

struct Process::Impl {
  Impl(const Executor& executor, ProcessHandles handles)
      : pid(handles.pid),
        exited(executor, handles.pidfd),
        out(executor, handles.out),
        err(executor, handles.err) {}

  static Task<std::string> Read(asio::posix::stream_descriptor& pipe) {
    std::string text;
    if (!pipe.is_open()) co_return text;
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    text.resize(16 * 1024);
    const auto buffer = asio::buffer(text);
    const auto [error, size] = co_await pipe.async_read_some(buffer, asio::as_tuple(asio::use_awaitable));
    text.resize(error ? 0 : size);
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_return text;
  }

  const int pid;
  bool reaped = false;
  asio::posix::stream_descriptor exited;  // a pidfd: readable once the process has ended
  asio::posix::stream_descriptor out;
  asio::posix::stream_descriptor err;
};

Process::Process(const Executor& executor, ProcessHandles handles)
    : impl_(std::make_unique<Impl>(executor, handles)) {}

Process::~Process() {
  if (!impl_->reaped) {
    ::kill(impl_->pid, SIGKILL);
    ::waitpid(impl_->pid, nullptr, 0);
  }
}

Task<std::string> Process::ReadOut() { co_return co_await Impl::Read(impl_->out); }
Task<std::string> Process::ReadErr() { co_return co_await Impl::Read(impl_->err); }

Task<int> Process::WaitExit() {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  int status = 0;
  while (true) {
    const pid_t ended = ::waitpid(impl_->pid, &status, WNOHANG);
    if (ended == impl_->pid || (ended < 0 && errno != EINTR)) break;
    if (ended == 0) {
      (void)co_await impl_->exited.async_wait(asio::posix::stream_descriptor::wait_read,
                                              asio::as_tuple(asio::use_awaitable));
    }
  }
  impl_->reaped = true;
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  co_return ExitCodeOf(status);
}

void Process::Signal(int signal) {
  if (!impl_->reaped) ::kill(impl_->pid, signal);
}

void Process::CloseOutput() {
  boost::system::error_code ignored;  // closing a pipe we own cannot fail in a way that matters
  impl_->out.close(ignored);
  impl_->err.close(ignored);
}

}  // namespace fabro::sandbox
