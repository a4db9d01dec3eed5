#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/async/runtime.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/sandbox/sandboxes.h"
#include "tests/core/sandbox/collector.h"
#include "tests/support/run_task.h"

namespace fabro::sandbox {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RunTask;

void Write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

std::string Read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Stands for the engine's client, and for the engine by files beside it: `calls` has a line for each
// argument, `env` what --env-file held, `containers/NAME` the process group of each container. A container is
// a session of its own that goes on when the client dies.
constexpr char kEngine[] = R"sh(#!/bin/bash
dir=$(dirname "$0")
printf '%s\n' "---" "$@" >> "$dir/calls"
[ ! -e "$dir/broken" ] || { cat "$dir/broken" >&2; exit 125; }
case $1 in
  ps) [ ! -d "$dir/containers" ] || ls "$dir/containers";;
  rm) [ -e "$dir/containers/$3" ] || { echo "Error response from daemon: No such container: $3" >&2; exit 1; }
      kill -KILL -- "-$(cat "$dir/containers/$3")"; rm "$dir/containers/$3";;
  run)
    shift
    while [ $# -gt 0 ]; do
      case $1 in
        --name) name=$2; shift 2;;
        --env-file) cat "$2" > "$dir/env"; shift 2;;
        --entrypoint) entry=$2; shift 2;;
        --mount) [ -n "$work" ] || { work=${2#*source=}; work=${work%%,*}; }; shift 2;;
        --label|--cap-drop|--security-opt|--user|--ulimit|--workdir|--network|--memory|--memory-swap|--pids-limit)
          shift 2;;
        --*) shift;;
        *) break;;
      esac
    done
    shift
    mkdir -p "$dir/containers"
    cd "$work" || exit 125
    setsid "$entry" "$@" <&0 &
    echo $! > "$dir/containers/$name"
    trap 'kill -TERM $!' TERM
    wait $!; code=$?
    while kill -0 $! 2>/dev/null; do wait $!; code=$?; done
    rm -f "$dir/containers/$name"
    exit $code;;
esac
)sh";

class DockerTest : public ::testing::Test {
 protected:
  static std::string MakeFolder() {
    char name[] = "/tmp/fabro-docker-XXXXXX";
    return mkdtemp(name);
  }
  DockerTest() {
    Write(engine_ + "/docker", kEngine);
    fs::permissions(engine_ + "/docker", fs::perms::owner_all);
    settings_.provider = config::SandboxProvider::kDocker;
    settings_.docker_image = "debian:12";
  }
  ~DockerTest() override {
    fs::remove_all(engine_);
    fs::remove_all(work_);
  }

  Command Bash(std::string script, milliseconds timeout = seconds(60)) {
    Command command;
    command.argv = {"bash", "-c", std::move(script)};
    command.env = {{"FABRO_STAGE_ID", "fix-2"}};
    command.work_dir = work_;
    command.timeout = timeout;
    command.label = "run-fix/2-1";
    return command;
  }
  SandboxesOptions Options() const {
    SandboxesOptions options;
    options.host.stage_helper = fs::absolute(FABRO_STAGE_PROGRAM).string();
    options.host.grace = milliseconds(200);
    options.owner = "/var/lib/fabro";
    options.search_path = engine_;
    return options;
  }
  absl::StatusOr<CommandResult> Run(Command command) {
    const std::unique_ptr<Sandbox> sandbox = sandboxes_.For(settings_);
    return RunTask(runtime_.executor(), sandbox->Run(std::move(command), &sink_));
  }
  // What was called, one argument a line, without `ps`.
  std::string Calls() const { return Read(engine_ + "/calls"); }
  bool NothingIsLeft() const {
    return !fs::exists(engine_ + "/containers") || fs::is_empty(engine_ + "/containers");
  }

  const std::string engine_ = MakeFolder();
  const std::string work_ = MakeFolder();
  config::SandboxSettings settings_;
  Runtime runtime_{2};
  BlockingPool pool_{"spawn", 2, 64};
  Sandboxes sandboxes_{pool_, Options()};
  Collector sink_;
};

TEST_F(DockerTest, RunsInAContainerThatMayDoNothingButWriteTheWorkspace) {
  Command command = Bash("cat; echo err >&2; touch made; exit 3");
  command.input = "from standard input\n";
  const auto result = Run(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out, "from standard input\n");
  EXPECT_EQ(result->err, "err\n");
  EXPECT_TRUE(fs::exists(work_ + "/made"));
  const std::string calls = Calls();
  for (const std::string& part :
       {std::string("\n--rm\n--init\n"),
        std::string("\n--cap-drop\nALL\n--security-opt\nno-new-privileges\n"),
        StrCat("\n--user\n", getuid(), ':', getgid(), '\n'), std::string("\n--workdir\n/workspace\n"),
        StrCat("\n--mount\ntype=bind,source=", work_, ",target=/workspace\n"),
        std::string("\n--network\nnone\n"), std::string("\n--label\nfabro.owner=/var/lib/fabro\n"),
        std::string("\n--entrypoint\nbash\ndebian:12\n-c\n"), std::string("-run-fix_2-1\n")}) {
    EXPECT_NE(calls.find(part), std::string::npos) << part << "\nin\n" << calls;
  }
}

TEST_F(DockerTest, BoundsAndTheNetworkAreWhatTheSettingsSay) {
  settings_.docker = {true, std::int64_t{64} << 20, 32, 10};
  ASSERT_TRUE(Run(Bash("true")).ok());
  const std::string calls = Calls();
  EXPECT_EQ(calls.find("--network"), std::string::npos);
  EXPECT_NE(
      calls.find("\n--memory\n67108864b\n--memory-swap\n67108864b\n--pids-limit\n32\n--ulimit\ncpu=10:10\n"),
      std::string::npos)
      << calls;
}

TEST_F(DockerTest, ValuesOfTheEnvironmentAreOnNoCommandLineAndSecretsNowhere) {
  settings_.env = {
      {"COLOR", "deep red"}, {"DEPLOY_TOKEN", "hunter2hunter2"}, {"DOCKER_HOST", "tcp://elsewhere"}};
  ASSERT_TRUE(Run(Bash("true")).ok());
  const std::string env = Read(engine_ + "/env");
  EXPECT_NE(env.find("COLOR=deep red\n"), std::string::npos) << env;
  EXPECT_NE(env.find("FABRO_STAGE_ID=fix-2\n"), std::string::npos) << env;
  EXPECT_NE(env.find("HOME=/tmp\n"), std::string::npos) << env;
  EXPECT_EQ(env.find("PATH="), std::string::npos) << env;
  EXPECT_EQ(env.find("TOKEN"), std::string::npos) << env;
  EXPECT_EQ(Calls().find("deep red"), std::string::npos);
  settings_.env = {{"TWO", "lines\nhere"}};
  EXPECT_EQ(Run(Bash("true")).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DockerTest, ATimeOutRemovesTheContainerWhoseCommandWillNotStop) {
  const auto result = Run(Bash("trap '' TERM; echo up; while :; do sleep 0.05; done", milliseconds(500)));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kTimedOut);
  EXPECT_EQ(result->out, "up\n");
  EXPECT_NE(Calls().find("\nrm\n--force\nfabro-"), std::string::npos);
  EXPECT_TRUE(NothingIsLeft());
}

Task<void> RunInto(Sandbox* sandbox, Command command, Collector* sink, absl::StatusOr<CommandResult>* out) {
  *out = co_await sandbox->Run(std::move(command), sink);
}

Task<absl::Status> WaitFor(std::shared_ptr<Waiter> waiter) { co_return co_await waiter->Wait(); }

TEST_F(DockerTest, CancellationRemovesTheContainerAndWaitsForThat) {
  const std::unique_ptr<Sandbox> sandbox = sandboxes_.For(settings_);
  absl::StatusOr<CommandResult> result;
  TaskScope scope(runtime_.executor());
  scope.Spawn("run", RunInto(sandbox.get(), Bash("trap '' TERM; echo up; while :; do sleep 0.05; done"),
                             &sink_, &result));
  ASSERT_TRUE(RunTask(runtime_.executor(), WaitFor(sink_.seen)).ok());
  scope.Cancel();
  scope.JoinBlocking();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, CommandResult::End::kCancelled);
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(DockerTest, WhatADeadServerLeftIsRemovedBeforeAnythingRuns) {
  fs::create_directories(engine_ + "/containers");
  // The group is one of nobody's: what counts is that it is ended at all.
  Write(engine_ + "/containers/fabro-0badcafe-0-old", "4194305");
  Write(engine_ + "/containers/of-somebody-else", "0");
  Sandboxes next(pool_, Options());
  ASSERT_TRUE(RunTask(runtime_.executor(), next.RemoveLeftovers()).ok());
  EXPECT_FALSE(fs::exists(engine_ + "/containers/fabro-0badcafe-0-old"));
  EXPECT_TRUE(fs::exists(engine_ + "/containers/of-somebody-else"));
  fs::remove(engine_ + "/containers/of-somebody-else");
}

TEST_F(DockerTest, AnEngineThatDoesNotAnswerFailsTheCommandAndSaysSo) {
  Write(engine_ + "/broken", "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n");
  const auto unreachable = Run(Bash("touch ran"));
  EXPECT_TRUE(absl::IsUnavailable(unreachable.status())) << unreachable.status();
  EXPECT_NE(unreachable.status().message().find("Cannot connect to the Docker daemon"), std::string::npos);
  fs::remove(engine_ + "/broken");
  ASSERT_TRUE(Run(Bash("true")).ok());
  Write(engine_ + "/broken", "docker: Error response from daemon: pull access denied for debian.\n");
  const auto no_image = Run(Bash("touch ran"));
  EXPECT_TRUE(absl::IsFailedPrecondition(no_image.status())) << no_image.status();
  EXPECT_NE(no_image.status().message().find("could not start its container"), std::string::npos);

  settings_.docker_image = "--privileged";
  EXPECT_EQ(Run(Bash("touch ran")).status().code(), absl::StatusCode::kInvalidArgument);
  settings_.docker_image = "";
  EXPECT_FALSE(Run(Bash("touch ran")).ok());
  fs::remove(engine_ + "/docker");
  EXPECT_NE(Run(Bash("touch ran")).status().message().find("neither docker nor podman is there"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(work_ + "/ran"));
}

}  // namespace
}  // namespace fabro::sandbox
