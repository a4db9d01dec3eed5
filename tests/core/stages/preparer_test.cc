#include "core/stages/preparer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "core/base/random.h"
#include "core/base/strings.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_directory.h"

namespace fabro::stages {
namespace {

using std::chrono::milliseconds;
using testing::RunTask;
using testing::TempDirectory;

// Each step as one line.
struct Line {
  std::string operator()(const engine::SandboxInitializing& s) const { return "initializing " + s.provider; }
  std::string operator()(const engine::SandboxReady& s) const { return "ready " + s.provider; }
  std::string operator()(const engine::BranchMade& s) const { return "branch " + s.branch; }
  std::string operator()(const engine::SetupStarted& s) const { return StrCat("set-up ", s.command_count); }
  std::string operator()(const engine::SetupCommandStarted& s) const {
    return StrCat("run ", s.index, ' ', s.command);
  }
  std::string operator()(const engine::SetupCommandCompleted& s) const {
    return StrCat("done ", s.index, ' ', s.exit_code);
  }
  std::string operator()(const engine::SetupCompleted&) const { return "set up"; }
  std::string operator()(const engine::SetupFailed& s) const {
    return StrCat("failed ", s.index, ' ', s.exit_code, ' ', Trim(s.error));
  }
  std::string operator()(const engine::PreparationNotice& s) const { return "notice " + s.code; }
};

class Steps final : public PreparationSink {
 public:
  Task<void> Tell(engine::PreparationStep step) override {
    lines.push_back(std::visit(Line(), step));
    if (on_step) on_step(lines.back());
    co_return;
  }
  std::vector<std::string> lines;
  std::function<void(const std::string&)> on_step;
};

class OneWorktree final : public Worktrees {
 public:
  bool MayNeed(const RunContext&) const override { return true; }
  Task<absl::StatusOr<std::optional<RunWorktree>>> MakeForRun(RunContext, PreparationSink* sink) override {
    engine::PreparationStep step = engine::BranchMade{"fabro/run/1", "abc"};
    co_await sink->Tell(std::move(step));
    co_return made;
  }
  Task<absl::StatusOr<RunWorktree>> SealSetup(RunContext, RunWorktree worktree) override {
    worktree.base_sha += "+setup";
    co_return worktree;
  }
  Task<absl::Status> ForgetRun(RunId) override { co_return absl::OkStatus(); }
  Task<absl::Status> RemoveForRun(RunContext, engine::Prepared prepared) override {
    removed = prepared.work_dir;
    co_return absl::OkStatus();
  }
  absl::StatusOr<std::optional<RunWorktree>> made;
  std::string removed;
};

class PreparerTest : public ::testing::Test {
 protected:
  static sandbox::SandboxesOptions Options() {
    sandbox::SandboxesOptions options;
    options.host.stage_helper = std::filesystem::absolute(FABRO_STAGE_PROGRAM).string();
    options.host.grace = milliseconds(200);
    return options;
  }

  RunContext Context() {
    RunContext context;
    context.run = RunIdSource(SystemRandom()).Next(Timestamp{});
    context.work_dir = work_dir_;
    context.settings = std::make_shared<const config::RunSettings>(settings_);
    return context;
  }
  engine::Prepared Prepare() { return RunTask(runtime_.executor(), preparer_.Prepare(Context(), &steps_)); }
  std::string Read(const std::string& name) const {
    std::ifstream file(work_dir_ + "/" + name);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }

  TempDirectory folder_;
  std::string work_dir_ = (folder_.path() / "run" / "work").string();
  Runtime runtime_{2};
  BlockingPool pool_{"files", 1, 64};
  sandbox::Sandboxes sandboxes_{pool_, Options()};
  OneWorktree worktree_;
  NoWorktrees no_worktrees_;
  events::Redactor redactor_{{{"DEPLOY_TOKEN", "correct-horse-battery"}}};
  net::HttpClient http_;
  HookCaller caller_{sandboxes_, http_, pool_, redactor_, [](const std::string&) { return std::nullopt; }};
  Hooks hooks_{runtime_.executor(), caller_};
  Preparer preparer_{sandboxes_, no_worktrees_, hooks_, pool_, redactor_};
  Steps steps_;
  config::RunSettings settings_;
};

TEST_F(PreparerTest, ThePlainRunNeedsNone) {
  EXPECT_FALSE(preparer_.IsNeeded(Context()));
  settings_.setup_commands = {"true"};
  EXPECT_TRUE(preparer_.IsNeeded(Context()));
}

TEST_F(PreparerTest, SetUpCommandsRunOneAfterTheOtherInTheRunsFolder) {
  settings_.sandbox.env = {{"COLOUR", "green"}, {"SIZE", "7"}};
  settings_.setup_commands = {"echo $COLOUR $SIZE > seen; pwd >> seen",
                              "cat seen > copy; test -n \"$FABRO_RUN_ID\""};
  const engine::Prepared prepared = Prepare();
  EXPECT_FALSE(prepared.failure) << *prepared.failure;
  EXPECT_EQ(prepared.work_dir, work_dir_);
  EXPECT_EQ(Read("copy"), StrCat("green 7\n", work_dir_, "\n"));
  const std::vector<std::string> expected = {"initializing local", "ready local",
                                             "set-up 2",           "run 0 " + settings_.setup_commands[0],
                                             "done 0 0",           "run 1 " + settings_.setup_commands[1],
                                             "done 1 0",           "set up"};
  EXPECT_EQ(steps_.lines, expected);
}

TEST_F(PreparerTest, TheFirstFailureIsTheRunsWithWhatTheCommandWrote) {
  settings_.setup_commands = {
      "true", "# install\necho fetching; echo correct-horse-battery is wrong >&2; exit 3", "touch never"};
  const engine::Prepared prepared = Prepare();
  ASSERT_TRUE(prepared.failure);
  EXPECT_EQ(*prepared.failure,
            "set-up command 2 of 3 failed with exit code 3: # install\n\n## stdout\nfetching\n\n\n## stderr\n"
            "REDACTED is wrong\n");
  EXPECT_EQ(steps_.lines.back(), "failed 1 3 REDACTED is wrong");
  EXPECT_FALSE(std::filesystem::exists(work_dir_ + "/never"));
}

TEST_F(PreparerTest, ACommandHasItsTimeLimit) {
  settings_.setup_commands = {"echo waiting; sleep 1000"};
  settings_.setup_timeout = milliseconds(100);
  const engine::Prepared prepared = Prepare();
  ASSERT_TRUE(prepared.failure);
  EXPECT_TRUE(prepared.failure->starts_with(
      "set-up command 1 of 1 was stopped after its time limit of 100 ms (setup.timeout_ms): echo waiting"))
      << *prepared.failure;
}

TEST_F(PreparerTest, AFolderThatCannotBeMadeIsSaid) {
  std::ofstream(folder_.path() / "run") << "a file is in the way";
  settings_.setup_commands = {"true"};
  const engine::Prepared prepared = Prepare();
  ASSERT_TRUE(prepared.failure);
  EXPECT_NE(prepared.failure->find("making the working directory " + work_dir_), std::string::npos)
      << *prepared.failure;
}

TEST_F(PreparerTest, CancellingStopsTheCommandAndBeginsNoOther) {
  settings_.setup_commands = {"trap 'touch told; exit 0' TERM; touch up; while :; do sleep 0.02; done",
                              "touch never"};
  TaskScope scope(runtime_.executor());
  std::optional<engine::Prepared> prepared;
  scope.Spawn("preparation", testing::KeepResult(preparer_.Prepare(Context(), &steps_), &prepared));
  while (!std::filesystem::exists(work_dir_ + "/up")) std::this_thread::yield();
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_TRUE(prepared->failure);
  EXPECT_TRUE(std::filesystem::exists(work_dir_ + "/told"));
  EXPECT_FALSE(std::filesystem::exists(work_dir_ + "/never"));
}

TEST_F(PreparerTest, SetUpCommandsRunInTheWorktreeAndItGoesAtTheEnd) {
  Preparer preparer(sandboxes_, worktree_, hooks_, pool_, redactor_);
  const std::string tree = (folder_.path() / "tree").string();
  worktree_.made = RunWorktree{tree, "/repo/.git", "abc"};
  settings_.setup_commands = {"touch here"};
  EXPECT_TRUE(preparer.IsNeeded(Context()));
  const engine::Prepared prepared = RunTask(runtime_.executor(), preparer.Prepare(Context(), &steps_));
  EXPECT_FALSE(prepared.failure);
  EXPECT_EQ(prepared.work_dir, tree);
  EXPECT_EQ(prepared.repository, "/repo/.git");
  EXPECT_EQ(prepared.base_sha, "abc+setup");
  EXPECT_TRUE(std::filesystem::exists(tree + "/here"));
  EXPECT_EQ(steps_.lines.front(), "branch fabro/run/1");

  auto clean_up = [](Preparer* p, RunContext context, engine::Prepared before) -> Task<absl::Status> {
    co_await p->CleanUp(std::move(context), std::move(before), engine::RunEnd());
    co_return absl::OkStatus();
  };
  EXPECT_TRUE(RunTask(runtime_.executor(), clean_up(&preparer, Context(), prepared)).ok());
  EXPECT_EQ(worktree_.removed, tree);
}

TEST_F(PreparerTest, AWorktreeThatCannotBeMadeFailsTheRun) {
  Preparer preparer(sandboxes_, worktree_, hooks_, pool_, redactor_);
  worktree_.made = FailedPrecondition(Reason::kUpstream, "/repo", "the disk is full");
  const engine::Prepared prepared = RunTask(runtime_.executor(), preparer.Prepare(Context(), &steps_));
  ASSERT_TRUE(prepared.failure);
  EXPECT_EQ(*prepared.failure, "making the run's worktree: the disk is full");
}

}  // namespace
}  // namespace fabro::stages
