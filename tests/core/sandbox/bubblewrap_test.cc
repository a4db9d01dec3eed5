#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/async/runtime.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/sandbox/git_repository.h"
#include "core/sandbox/sandboxes.h"
#include "tests/core/sandbox/collector.h"
#include "tests/support/run_task.h"

namespace fabro::sandbox {
namespace {

namespace fs = std::filesystem;
using config::SandboxProvider;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RunTask;

void Write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

std::string Read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// How many processes have the mark in their command line or environment.
int Marked(const std::string& mark) {
  int count = 0;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator("/proc", gone)) {
    const std::string text = Read(entry.path() / "environ") + Read(entry.path() / "cmdline");
    if (entry.path().filename() != std::to_string(getpid()) && text.find(mark) != std::string::npos) ++count;
  }
  return count;
}

// A storage directory of a server with a database and two runs; the test's commands are those of run `a`.
class BubblewrapTest : public ::testing::Test {
 protected:
  BubblewrapTest() {
    Write(storage_ + "/fabro.db", "rows");
    Write(storage_ + "/runs/b/work/file", "of another run");
    fs::create_directories(work_);
    settings_.provider = SandboxProvider::kBubblewrap;
  }
  ~BubblewrapTest() override { fs::remove_all(storage_); }

  void SetUp() override {
    // CTest takes this message for a test that is left out.
    constexpr char kProbe[] =
        "bwrap --ro-bind / / --proc /proc --unshare-user --unshare-pid --unshare-net true";
    ASSERT_EQ(std::system(kProbe), 0) << "left out: bwrap cannot make a sandbox here at all";
  }

  Command Bash(std::string script, milliseconds timeout = seconds(60)) {
    Command command;
    command.argv = {"bash", "-c", std::move(script)};
    command.env = {{"FABRO_TEST_MARK", storage_}};
    command.work_dir = work_;
    command.timeout = timeout;
    return command;
  }
  absl::StatusOr<CommandResult> Run(Command command) {
    const std::unique_ptr<Sandbox> sandbox = sandboxes_.For(settings_);
    return RunTask(runtime_.executor(), sandbox->Run(std::move(command), &sink_));
  }
  absl::StatusOr<CommandResult> Run(std::string script) { return Run(Bash(std::move(script))); }

  SandboxesOptions Options() const {
    SandboxesOptions options;
    options.host.stage_helper = fs::absolute(FABRO_STAGE_PROGRAM).string();
    options.host.grace = milliseconds(200);
    options.host.max_output_bytes = 64 * 1024;
    options.hidden = {storage_};
    return options;
  }

  // Not in /tmp, which is hidden in any case.
  static std::string MakeFolder(const std::string& parent) {
    std::string name = parent + "/bubblewrap-test-XXXXXX";
    return mkdtemp(name.data());
  }

  const std::string storage_ = MakeFolder(fs::absolute(FABRO_STAGE_PROGRAM).parent_path().string());
  const std::string work_ = storage_ + "/runs/a/work";
  config::SandboxSettings settings_;
  Runtime runtime_{2};
  BlockingPool pool_{"spawn", 2, 64};
  Sandboxes sandboxes_{pool_, Options()};
  Collector sink_;
};

TEST_F(BubblewrapTest, GivesBothStreamsTheExitCodeAndTheFolder) {
  Command command = Bash("cat; echo err >&2; pwd; echo made > file; exit 3");
  command.input = "from standard input\n";
  const auto result = Run(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out, StrCat("from standard input\n", work_, "\n"));
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(sink_.out, result->out);
  EXPECT_EQ(Read(work_ + "/file"), "made\n");
  EXPECT_EQ(Run("kill -SEGV $$")->exit_code, 128 + SIGSEGV);
}

TEST_F(BubblewrapTest, HidesHomesTheServerAndItsSecrets) {
  const std::string home = MakeFolder(std::getenv("HOME"));
  Write(home + "/key", "secret");
  const auto result =
      Run(StrCat("cat ", home, "/key ", storage_, "/fabro.db ", storage_, "/runs/b/work/file ",
                 "/etc/shadow; for d in /run ", storage_, " ", storage_, "/runs/a; do ls -A $d; done"));
  fs::remove_all(home);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "fabro-stage\nruns\nwork\n");
}

TEST_F(BubblewrapTest, WritesNowhereButInItsFolderAndAPrivateTmp) {
  const std::string shared = StrCat("/tmp/", fs::path(storage_).filename().string());
  const auto result = Run(StrCat(
      "for f in /etc/fabro-x /usr/fabro-x /root/x /run/x /var/x /home/x /dev/x /x /proc/sys/kernel/"
      "core_pattern /proc/sysrq-trigger /proc/self/oom_score_adj ",
      storage_, "/x ", storage_, "/fabro.db; do (: >> $f) 2>/dev/null && echo wrote $f; done; echo x > ",
      shared, "; echo y > ~/y; cat ", shared, " $HOME/y; echo > /dev/null"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->err;
  std::string out = ReplaceAll(result->out, "wrote /proc/self/oom_score_adj\n", "");
  // In a source tree below /tmp this folder is hidden by the private one, which takes what is written there.
  if (storage_.starts_with("/tmp/")) {
    for (const char* file : {"/x", "/fabro.db"})
      out = ReplaceAll(out, StrCat("wrote ", storage_, file, "\n"), "");
  }
  EXPECT_EQ(out, "x\ny\n");
  EXPECT_FALSE(fs::exists(shared));
  EXPECT_FALSE(fs::exists(storage_ + "/x"));
  EXPECT_EQ(Read(storage_ + "/fabro.db"), "rows");
}

TEST_F(BubblewrapTest, HasNoNetworkUnlessAllowed) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string script = StrCat("echo hello > /dev/tcp/127.0.0.1/", ntohs(address.sin_port));
  const auto refused = Run(script);
  settings_.bubblewrap.network = true;
  const auto connected = Run(script);
  close(listener);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_NE(refused->exit_code, 0);
  EXPECT_EQ(connected->exit_code, 0) << connected->err;
}

TEST_F(BubblewrapTest, HasNoPrivilegesAndSeesNoProcessOfTheHost) {
  const auto result =
      Run("grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -d '\\t'; "
          "unshare -U true 2>/dev/null || echo no namespaces; "
          "mount -t tmpfs none /tmp 2>/dev/null || echo no mounts; hostname; "
          "(($(echo /proc/[0-9]* | wc -w) < 8)) && echo alone");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(
      result->out,
      "CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\nno namespaces\nno mounts\nfabro\n"
      "alone\n");
}

TEST_F(BubblewrapTest, TheEnvironmentIsTheSafelistAndWhatTheRunSetsForTheCommandAlone) {
  ::setenv("FABRO_SERVER_OWN", "1", 1);
  settings_.env = {{"COLOR", "red"}, {"DEPLOY_TOKEN", "hunter2hunter2"}, {"LD_PRELOAD", work_ + "/evil.so"}};
  Write(work_ + "/evil.so", "no library");
  Command command = Bash("unset LD_PRELOAD; env");
  command.env.emplace_back("LINES_OF", "one\ntwo");
  const auto result = Run(command);
  ::unsetenv("FABRO_SERVER_OWN");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NE(result->out.find("COLOR=red\n"), std::string::npos);
  EXPECT_NE(result->out.find("LINES_OF=one\ntwo\n"), std::string::npos);
  EXPECT_NE(result->out.find("HOME=/tmp/home\n"), std::string::npos);
  EXPECT_EQ(result->out.find("TOKEN"), std::string::npos);
  EXPECT_EQ(result->out.find("FABRO_SERVER_OWN"), std::string::npos);
  // The loader of bwrap and of the helper outside would complain, too, and they are outside.
  const std::string complaint = "ERROR: ld.so: object";
  std::size_t complaints = 0;
  for (std::size_t at = 0; (at = result->err.find(complaint, at)) != std::string::npos; ++at) ++complaints;
  EXPECT_LE(complaints, 2u) << result->err;

  settings_.env = {{"BAD", std::string("a\0--bind", 8)}};
  EXPECT_EQ(Run("true").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BubblewrapTest, DiesAtItsMemoryLimitAlsoWhenManyProcessesShareIt) {
  settings_.bubblewrap.memory_bytes = std::int64_t{96} << 20;
  const auto one = Run("exec python3 -c 'x = bytearray(200 << 20); print(len(x))'");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_NE(one->exit_code, 0);
  EXPECT_EQ(one->out, "");
  const auto many = Run(
      "for i in 1 2 3; do python3 -c 'import time; x = bytearray(48 << 20); time.sleep(1000)' & done; wait");
  ASSERT_TRUE(many.ok()) << many.status();
  EXPECT_EQ(many->exit_code, 137);
  EXPECT_NE(many->err.find("held more than 100663296 bytes of memory"), std::string::npos) << many->err;
  EXPECT_NE(Run("head -c 200000000 /dev/zero > /tmp/big")->exit_code, 0);
  EXPECT_EQ(Run("python3 -c 'x = bytearray(32 << 20)'")->exit_code, 0);
  EXPECT_EQ(Marked(storage_), 0);
}

TEST_F(BubblewrapTest, AForkBombDiesAtTheProcessLimit) {
  settings_.bubblewrap.max_processes = 24;
  const auto result = Run("b() { b | b & }; b; while :; do :; done");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 137);
  EXPECT_NE(result->err.find("more than 24 processes"), std::string::npos) << result->err;
  EXPECT_EQ(Marked(storage_), 0);
  EXPECT_EQ(Run("for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait")->exit_code, 0);
}

TEST_F(BubblewrapTest, DiesAtItsLimitOfCpuTimeWhicheverProcessesTakeIt) {
  settings_.bubblewrap.cpu_seconds = 1;
  const auto result = Run("while :; do timeout 0.1 bash -c 'while :; do :; done'; done");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 137);
  EXPECT_NE(result->err.find("more than 1 seconds of CPU time"), std::string::npos) << result->err;
}

TEST_F(BubblewrapTest, ATimeOutLeavesNoProcessWhateverTheScriptDoes) {
  const auto result = Run(Bash(
      "trap '' TERM; (setsid bash -c \"trap '' TERM; sleep 1000\" &) ; (sleep 1000 &) ; echo up; sleep 1000",
      milliseconds(600)));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kTimedOut);
  EXPECT_EQ(result->out, "up\n");
  EXPECT_EQ(Marked(storage_), 0);
}

TEST_F(BubblewrapTest, WhatACommandLeavesInTheBackgroundEndsWithIt) {
  const auto result = Run("sleep 1000 & (setsid sleep 1000 &); echo done");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(Marked(storage_), 0);
}

Task<void> RunInto(Sandbox* sandbox, Command command, Collector* sink, absl::StatusOr<CommandResult>* out) {
  *out = co_await sandbox->Run(std::move(command), sink);
}

Task<absl::Status> WaitFor(std::shared_ptr<Waiter> waiter) { co_return co_await waiter->Wait(); }

TEST_F(BubblewrapTest, CancellationLetsTheCommandCleanUpAndWaitsForItsEnd) {
  const std::unique_ptr<Sandbox> sandbox = sandboxes_.For(settings_);
  const std::shared_ptr<Waiter> seen = sink_.seen = std::make_shared<Waiter>();
  absl::StatusOr<CommandResult> result;
  TaskScope scope(runtime_.executor());
  scope.Spawn("run", RunInto(sandbox.get(),
                             Bash("trap 'echo cleaned; exit 9' TERM; (trap '' TERM; setsid sleep 1000 &); "
                                  "echo up; sleep 1000 & wait"),
                             &sink_, &result));
  ASSERT_TRUE(RunTask(runtime_.executor(), WaitFor(seen)).ok());
  scope.Cancel();
  scope.JoinBlocking();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kCancelled);
  EXPECT_EQ(result->exit_code, 9);
  EXPECT_EQ(result->out, "up\ncleaned\n");
  EXPECT_EQ(Marked(storage_), 0);
}

TEST_F(BubblewrapTest, AWorktreeSeesItsRepositoryWhereverItIsButCannotWriteIt) {
  const std::string home = MakeFolder(std::getenv("HOME"));
  Write(home + "/file", "first\n");
  const std::string git = StrCat("git -C ", home, " -c user.name=n -c user.email=e ");
  fs::remove_all(work_);
  ASSERT_EQ(std::system(StrCat(git, "init -q && ", git, "add file && ", git, "commit -qm first && ", git,
                               "worktree add -q ", work_)
                            .c_str()),
            0);
  const auto result =
      Run(StrCat("git log --format=%s; git status --short; ls -A ", home, "; echo x > ", home, "/.git/x"));
  fs::remove_all(home);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "first\n.git\n") << result->err;
  EXPECT_NE(result->exit_code, 0);
}

TEST_F(BubblewrapTest, AWorktreeOfTheCommandsOwnMakingOpensNoOtherFolder) {
  const std::string aim = storage_ + "/runs/b/work";
  for (const char* folder : {"objects", "refs", "worktrees/w"})
    fs::create_directories(StrCat(aim, "/", folder));
  Write(aim + "/HEAD", "ref: refs/heads/main");
  Write(work_ + "/.git", StrCat("gitdir: ", aim, "/worktrees/w\n"));
  EXPECT_EQ(RepositoryOf(work_), "");
  Write(work_ + "/.git", StrCat("gitdir: ", work_, "/fake/worktrees/w\n"));
  Write(work_ + "/fake/worktrees/w/gitdir", work_ + "/.git\n");
  Write(work_ + "/fake/worktrees/w/commondir", aim + "\n");
  EXPECT_EQ(RepositoryOf(work_), "");
  Write(aim + "/worktrees/w/gitdir", work_ + "/.git\n");
  Write(aim + "/worktrees/w/commondir", "../..\n");
  Write(work_ + "/.git", StrCat("gitdir: ", aim, "/worktrees/w\n"));
  EXPECT_EQ(RepositoryOf(work_), aim);
}

TEST_F(BubblewrapTest, RefusesAWorkingDirectoryThatWouldOpenTheHost) {
  for (const std::string& dir : {std::string("/"), std::string("/etc"), std::string("/tmp"), storage_}) {
    Command command = Bash("true");
    command.work_dir = dir;
    const auto result = Run(command);
    ASSERT_FALSE(result.ok()) << dir;
    EXPECT_NE(result.status().message().find("cannot be used in the bubblewrap sandbox"), std::string::npos);
  }
  // What is hidden inside of a working directory stays hidden.
  Write(work_ + "/data/fabro.db", "rows");
  Write(work_ + "/server.toml", "key");
  SandboxesOptions options = Options();
  options.hidden = {work_ + "/data", work_ + "/server.toml"};
  Sandboxes sandboxes(pool_, options);
  const auto inside = RunTask(runtime_.executor(),
                              sandboxes.For(settings_)->Run(Bash("cat data/* server.toml; ls data"), &sink_));
  ASSERT_TRUE(inside.ok()) << inside.status();
  EXPECT_EQ(inside->out, "");
}

TEST_F(BubblewrapTest, WithoutTheProgramNothingRunsAndTheErrorSaysWhatToInstall) {
  SandboxesOptions options = Options();
  options.search_path = work_;
  Sandboxes sandboxes(pool_, options);
  const auto result = RunTask(runtime_.executor(), sandboxes.For(settings_)->Run(Bash("touch ran"), &sink_));
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("Install the package bubblewrap"), std::string::npos);
  EXPECT_FALSE(fs::exists(work_ + "/ran"));
  // A bwrap that is not let.
  Write(work_ + "/bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n");
  fs::permissions(work_ + "/bwrap", fs::perms::owner_all);
  const auto refused = RunTask(runtime_.executor(), sandboxes.For(settings_)->Run(Bash("touch ran"), &sink_));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("could not make its sandbox"), std::string::npos);
}

}  // namespace
}  // namespace fabro::sandbox
