#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/async/runtime.h"
#include "core/base/strings.h"
#include "core/sandbox/environment.h"
#include "core/sandbox/local.h"
#include "core/sandbox/output_tail.h"
#include "tests/core/sandbox/collector.h"
#include "tests/support/run_task.h"

namespace fabro::sandbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RunTask;

class LocalSandboxTest : public ::testing::Test {
 protected:
  LocalSandboxTest() {
    char name[] = "/tmp/fabro-sandbox-XXXXXX";
    dir_ = mkdtemp(name);
  }
  ~LocalSandboxTest() override { std::filesystem::remove_all(dir_); }

  Command Bash(std::string script, milliseconds timeout = seconds(60)) {
    Command command;
    command.argv = {"bash", "-c", std::move(script)};
    command.work_dir = dir_;
    command.timeout = timeout;
    return command;
  }
  absl::StatusOr<CommandResult> Run(Command command) {
    return RunTask(runtime_.executor(), sandbox_.Run(command, &sink_));
  }

  // How many processes carry the mark in their environment.
  static int Marked(const std::string& mark) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "environ", std::ios::binary);
      std::string text((std::istreambuf_iterator<char>(file)), {});
      if (text.find(mark) != std::string::npos) ++count;
    }
    return count;
  }

  static HostOptions Options() {
    HostOptions options;
    options.stage_helper = std::filesystem::absolute(FABRO_STAGE_PROGRAM).string();
    options.grace = milliseconds(200);
    options.max_output_bytes = 4096;
    return options;
  }

  std::string dir_;
  Runtime runtime_{2};
  BlockingPool pool_{"spawn", 1, 64};
  LocalSandbox sandbox_{pool_, Options(), {}};
  Collector sink_;
};

TEST_F(LocalSandboxTest, GivesBothStreamsAndTheExitCode) {
  const auto result = Run(Bash("echo out; echo err >&2; pwd; exit 3"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kExited);
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out, StrCat("out\n", dir_, "\n"));
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(sink_.out, result->out);
  EXPECT_EQ(sink_.err, result->err);
}

TEST_F(LocalSandboxTest, ASignalIsAnExitCodeAsInAShell) {
  EXPECT_EQ(Run(Bash("kill -SEGV $$"))->exit_code, 128 + SIGSEGV);
  Command missing = Bash("");
  missing.argv = {"no-such-program-here"};
  EXPECT_EQ(Run(missing)->exit_code, 127);
}

TEST_F(LocalSandboxTest, AFolderThatIsNotThereIsAnErrorOfOurs) {
  Command command = Bash("true");
  command.work_dir = dir_ + "/absent";
  EXPECT_FALSE(Run(command).ok());
}

TEST_F(LocalSandboxTest, ATimeOutLeavesNoProcessWhateverTheScriptDoes) {
  Command command = Bash(
      "trap '' TERM; (setsid bash -c \"trap '' TERM; sleep 1000\" &) ; (sleep 1000 &) ; echo up; sleep 1000",
      milliseconds(300));
  command.env = {{"FABRO_TEST_MARK", dir_}};
  const auto result = Run(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kTimedOut);
  EXPECT_EQ(result->out, "up\n");
  EXPECT_EQ(Marked("FABRO_TEST_MARK=" + dir_), 0);
}

TEST_F(LocalSandboxTest, WhatACommandLeavesInTheBackgroundEndsWithIt) {
  Command command = Bash("sleep 1000 & (setsid sleep 1000 &); echo done");
  command.env = {{"FABRO_TEST_MARK", dir_}};
  const auto result = Run(command);
  EXPECT_EQ(result->end, CommandResult::End::kExited);
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(Marked("FABRO_TEST_MARK=" + dir_), 0);
}

Task<void> RunInto(LocalSandbox* sandbox, Command command, Collector* sink,
                   absl::StatusOr<CommandResult>* out) {
  *out = co_await sandbox->Run(std::move(command), sink);
}

Task<absl::Status> WaitFor(std::shared_ptr<Waiter> waiter) { co_return co_await waiter->Wait(); }

TEST_F(LocalSandboxTest, CancellationStopsTheCommandAndWaitsForItsEnd) {
  Command command = Bash("trap 'echo cleaned; exit 9' TERM; echo up; sleep 1000 & wait");
  command.env = {{"FABRO_TEST_MARK", dir_}};
  absl::StatusOr<CommandResult> result;
  TaskScope scope(runtime_.executor());
  scope.Spawn("run", RunInto(&sandbox_, command, &sink_, &result));
  ASSERT_TRUE(RunTask(runtime_.executor(), WaitFor(sink_.seen)).ok());
  scope.Cancel();
  scope.JoinBlocking();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kCancelled);
  EXPECT_EQ(result->out, "up\ncleaned\n");
  EXPECT_EQ(Marked("FABRO_TEST_MARK=" + dir_), 0);
}

TEST_F(LocalSandboxTest, HugeOutputIsKeptAtBothEnds) {
  const auto result = Run(Bash("for i in $(seq 1 20000); do echo line $i; done"));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->out.starts_with("line 1\n"));
  EXPECT_TRUE(result->out.ends_with("line 20000\n"));
  EXPECT_NE(result->out.find("bytes left out"), std::string::npos);
  EXPECT_LT(result->out.size(), 4300u);
  EXPECT_EQ(sink_.out, result->out);
}

TEST_F(LocalSandboxTest, OutputThatIsNoUtf8StillBecomesText) {
  const auto result =
      Run(Bash("printf 'a\\xffb'; printf '\\xe2'; sleep 0.05; printf '\\x82\\xac'; printf '\\xe2'"));
  EXPECT_EQ(result->out,
            "a\xEF\xBF\xBD"
            "b€\xEF\xBF\xBD");
}

TEST_F(LocalSandboxTest, InputOfAnySizeReachesTheCommand) {
  Command command = Bash("wc -c");
  command.input = std::string(3'000'000, 'x');
  EXPECT_EQ(Run(command)->out, "3000000\n");
  EXPECT_EQ(Run(Bash("wc -c"))->out, "0\n");
}

TEST_F(LocalSandboxTest, SecretsOfTheServerStayWithTheServer) {
  setenv("FABRO_TEST_API_KEY", "top-secret", 1);
  setenv("FABRO_TEST_PLAIN", "not on the list", 1);
  Command command = Bash("env");
  command.env = {{"SHOWN", "yes"}, {"MY_TOKEN", "no"}};
  const auto result = Run(command);
  EXPECT_NE(result->out.find("PATH="), std::string::npos);
  EXPECT_NE(result->out.find("SHOWN=yes"), std::string::npos);
  for (const char* hidden : {"top-secret", "FABRO_TEST_PLAIN", "MY_TOKEN"}) {
    EXPECT_EQ(result->out.find(hidden), std::string::npos) << hidden;
  }
}

TEST_F(LocalSandboxTest, FilesOfTheServerStayWithTheServer) {
  const int open_file = ::fcntl(STDIN_FILENO, F_DUPFD, 100);  // without CLOEXEC, as libraries open theirs
  ASSERT_GE(open_file, 100);
  EXPECT_EQ(Run(Bash(StrCat("test -e /proc/self/fd/", open_file, " && echo open || echo closed")))->out,
            "closed\n");
  ::close(open_file);
}

TEST(OutputTail, KeepsAllThatFitsAndNeverCutsACharacter) {
  OutputTail small(10);
  EXPECT_EQ(small.Append("12345"), "12345");
  EXPECT_EQ(small.Append("67"), "");
  EXPECT_EQ(small.Text(), "1234567");
  OutputTail euros(8);
  for (int i = 0; i < 100; ++i) euros.Append("€");
  EXPECT_TRUE(IsValidUtf8(euros.Text())) << euros.Text();
  EXPECT_EQ(euros.total_bytes(), 300u);
}

}  // namespace
}  // namespace fabro::sandbox
