// Runs in git worktrees, through the two seams of the run's actor: preparation and stages.
#include "core/stages/git_stages.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "core/async/runtime.h"
#include "core/stages/git_worktrees.h"
#include "tests/support/git_repository.h"
#include "tests/support/run_task.h"

namespace fabro::stages {
namespace {

using engine::OutcomeStatus;
using testing::GitRepository;
using testing::ReadFile;
using testing::RunTask;
using testing::Shell;

constexpr const char* kRun = "01HZZZZZZZZZZZZZZZZZZZZZZZ";
constexpr const char* kFork = "01HZZZZZZZZZZZZZZZZZZZZZZY";

// Runs each stage's text with a shell.
class ShellRunner final : public StageRunner {
 public:
  Task<engine::Outcome> Run(StageRequest request, StageOutputSink*) override {
    Shell(request.work_dir, request.text);
    folders.push_back(request.work_dir);
    engine::Outcome outcome;
    if (request.text.find("# fails") != std::string::npos) {
      outcome.status = OutcomeStatus::kFail;
      outcome.failure = engine::Failure{"it fails", engine::FailureClass::kDeterministic};
    }
    co_return outcome;
  }

  std::vector<std::string> folders;
};

class Sink final : public PreparationSink, public StageOutputSink {
 public:
  Task<void> Tell(engine::PreparationStep step) override {
    if (const auto* branch = std::get_if<engine::BranchMade>(&step))
      told = branch->branch + " " + branch->sha;
    if (const auto* notice = std::get_if<engine::PreparationNotice>(&step))
      told = notice->code + " " + notice->message;
    co_return;
  }
  Task<void> Write(bool, std::string text) override {
    output += text;
    co_return;
  }

  std::string told;
  std::string output;
};

class GitRun : public ::testing::Test {
 protected:
  void SetUp() override { before_ = user_.Checkout(); }
  void TearDown() override { EXPECT_EQ(user_.Checkout(), before_) << "the user's checkout was touched"; }

  RunContext Context(const char* id = kRun) {
    RunContext context;
    context.run = *RunId::Parse(id);
    settings_.work_dir = settings_.work_dir.empty() ? user_.folder() : settings_.work_dir;
    context.work_dir = settings_.work_dir;
    context.settings = std::make_shared<const config::RunSettings>(settings_);
    return context;
  }

  absl::StatusOr<std::optional<RunWorktree>> Make(RunContext context) {
    return RunTask(runtime_.executor(), worktrees_.MakeForRun(std::move(context), &sink_));
  }

  engine::Prepared Prepare(RunContext context) {
    const auto made = Make(std::move(context));
    EXPECT_TRUE(made.ok() && *made) << made.status() << sink_.told;
    if (!made.ok() || !*made) return {};
    return {.work_dir = (*made)->work_dir,
            .repository = (*made)->repository,
            .base_sha = (*made)->base_sha,
            .failure = std::nullopt};
  }
  void Prepare() { prepared_ = Prepare(Context()); }

  void Remove() {
    const absl::Status removed = RunTask(runtime_.executor(), worktrees_.RemoveForRun(Context(), prepared_));
    EXPECT_TRUE(removed.ok()) << removed;
  }

  struct Where {
    std::string branch;
    std::vector<std::string> outer;
    std::string restore_sha;
    std::string adopt;
  };
  engine::Outcome Stage(const std::string& id, const std::string& script, Where where = {}) {
    node_.id = id;
    node_.kind = where.adopt.empty() ? workflow::NodeKind::kCommand : workflow::NodeKind::kFanIn;
    StageRequest request;
    request.run = *RunId::Parse(kRun);
    request.node = &node_;
    request.stage_id = id;
    request.stages_ended = 4;
    request.branch = std::move(where.branch);
    request.outer_branches = std::move(where.outer);
    request.restore_sha = std::move(where.restore_sha);
    request.adopt_branch = std::move(where.adopt);
    request.text = script;
    request.work_dir = settings_.work_dir;
    request.prepared = prepared_;
    request.settings = std::make_shared<const config::RunSettings>(settings_);
    return RunTask(runtime_.executor(), stages_.Run(std::move(request), &sink_));
  }

  std::string OwnTree() const { return runs_dir_ + "/" + kRun + "/tree"; }
  std::string Folder(const std::string& branch) const { return runs_dir_ + "/" + kRun + "/trees/" + branch; }
  std::string Branches() const {
    return user_.Run("git for-each-ref --format='%(refname:lstrip=2)' refs/heads/fabro");
  }

  const GitRepository user_;
  const std::string first_ = user_.Head();
  std::map<std::string, std::string> before_;
  const std::string runs_dir_ = user_.beside("storage/runs").string();
  config::RunSettings settings_;
  Runtime runtime_{2};
  BlockingPool pool_{"git", 2, 100};
  git::Worker worker_{pool_, SystemTime()};
  const events::Redactor redactor_{{}};
  ShellRunner shell_;
  GitWorktrees worktrees_{worker_, SystemClock(), runs_dir_};
  GitStages stages_{shell_, worker_, SystemClock(), redactor_, runs_dir_};
  Sink sink_;
  engine::Prepared prepared_;
  workflow::Node node_;
};

TEST_F(GitRun, WorksInAWorktreeWithItsOwnBranch) {
  Prepare();
  EXPECT_EQ(prepared_.work_dir, OwnTree());
  EXPECT_EQ(prepared_.repository, user_.git_folder());
  EXPECT_EQ(prepared_.base_sha, first_);
  EXPECT_EQ(sink_.told, std::string("fabro/run/") + kRun + " " + first_);
  const engine::Outcome outcome = Stage("build", "echo built > built");
  EXPECT_EQ(shell_.folders, std::vector<std::string>{OwnTree()});
  EXPECT_EQ(outcome.files_touched, std::vector<std::string>{"built"});
  EXPECT_EQ(outcome.git_commit_sha, user_.Run(std::string("git rev-parse fabro/run/") + kRun));
  EXPECT_EQ(user_.Run("git log -1 --format=%B " + outcome.git_commit_sha),
            std::string("fabro: build (success)\n\nFabro-Run: ") + kRun +
                "\nFabro-Stage: build\nFabro-Completed: 5\n");
  EXPECT_EQ(user_.Run("git log -1 --format='%(trailers:only,unfold)' " + outcome.git_commit_sha),
            std::string("Fabro-Run: ") + kRun + "\nFabro-Stage: build\nFabro-Completed: 5\n");
  Remove();
  EXPECT_EQ(Branches(), std::string("fabro/run/") + kRun);
  EXPECT_EQ(user_.Run("git worktree list | wc -l"), "1");
  EXPECT_FALSE(std::filesystem::exists(OwnTree()));
}

TEST_F(GitRun, StageThatChangesNothingNamesTheCommitThatIsThere) {
  Prepare();
  const std::string built = Stage("build", "echo built > built").git_commit_sha;
  const engine::Outcome looked = Stage("look", "cat built");
  EXPECT_EQ(looked.git_commit_sha, built);
  EXPECT_TRUE(looked.files_touched.empty());
}

TEST_F(GitRun, FailedStageIsCommittedToo) {
  Prepare();
  const engine::Outcome outcome = Stage("build", "echo half > built # fails");
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  EXPECT_EQ(outcome.failure->message, "it fails");
  EXPECT_EQ(user_.Run("git log -1 --format=%s " + outcome.git_commit_sha), "fabro: build (fail)");
}

TEST_F(GitRun, StageThatCommitsByItselfTouchedThoseFiles) {
  Prepare();
  const engine::Outcome outcome = Stage(
      "build", "echo a > a && git add a && git -c user.name=B -c user.email=b commit -qm own && echo b > b");
  EXPECT_EQ(outcome.files_touched, (std::vector<std::string>{"a", "b"}));
}

TEST_F(GitRun, WorksInTheSameSubfolder) {
  settings_.work_dir = user_.folder() + "/src";
  Prepare();
  EXPECT_EQ(prepared_.work_dir, OwnTree() + "/src");
  EXPECT_EQ(Stage("build", "echo x > x").files_touched, std::vector<std::string>{"src/x"});
  Stage("a", "echo x > y", {.branch = "fan-1"});
  EXPECT_EQ(shell_.folders.back(), Folder("fan-1") + "/src");
}

TEST_F(GitRun, ExcludedPathsAreNotCommitted) {
  settings_.checkpoint_exclude_globs = {"*.log"};
  Prepare();
  EXPECT_EQ(Stage("build", "echo x > a.log; echo x > b").files_touched, std::vector<std::string>{"b"});
}

TEST_F(GitRun, BadGlobsFailThePreparation) {
  settings_.checkpoint_exclude_globs = {"[z-a]"};
  EXPECT_TRUE(absl::IsInvalidArgument(Make(Context()).status()));
}

TEST_F(GitRun, WorksInTheFolderItselfWhereThatIsNotClean) {
  user_.Write("README", "changed");
  before_ = user_.Checkout();
  const auto made = Make(Context());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_FALSE(*made);
  EXPECT_TRUE(sink_.told.starts_with("dirty_worktree ")) << sink_.told;
  EXPECT_EQ(Branches(), "");
  prepared_.work_dir = user_.folder();  // what the preparation says then
  EXPECT_EQ(Stage("build", "true").git_commit_sha, "");
  EXPECT_EQ(shell_.folders.back(), user_.folder());
  Remove();
}

TEST_F(GitRun, WithModeAlwaysBeginsWithTheCommitWhateverIsChanged) {
  user_.Write("README", "changed");
  before_ = user_.Checkout();
  settings_.sandbox.worktree_mode = config::WorktreeMode::kAlways;
  Prepare();
  EXPECT_EQ(ReadFile(OwnTree() + "/README"), "hello\n");
}

TEST_F(GitRun, NeedsNoneForOtherFolders) {
  const auto none = [&](const std::string& folder) {
    settings_.work_dir = folder;
    const auto made = Make(Context());
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() && !*made && sink_.told.empty();
  };
  std::filesystem::create_directories(user_.beside("plain"));
  EXPECT_TRUE(none(user_.beside("plain").string()));
  EXPECT_TRUE(none(user_.beside("missing").string()));
  EXPECT_TRUE(none(runs_dir_ + "/" + kFork + "/tree"));  // a child works where its parent does
  settings_.sandbox.worktree_mode = config::WorktreeMode::kNever;
  EXPECT_TRUE(none(user_.folder()));
}

TEST_F(GitRun, TellsWhyAFolderOfARepositoryIsWorkedInItself) {
  user_.Write("build/x", "ignored");
  before_ = user_.Checkout();
  settings_.work_dir = user_.folder() + "/build";
  EXPECT_TRUE(Make(Context()).ok());
  EXPECT_TRUE(sink_.told.starts_with("git_not_committed ")) << sink_.told;
  user_.Run("git init -q ../new");
  settings_.work_dir = user_.beside("new").string();
  EXPECT_TRUE(Make(Context()).ok());
  EXPECT_TRUE(sink_.told.starts_with("git_no_commit ")) << sink_.told;
}

TEST_F(GitRun, EachStepMayBeRepeatedAfterACrash) {
  Prepare();
  Prepare();
  EXPECT_EQ(prepared_.base_sha, first_);
  const std::string once = Stage("build", "echo x >> x").git_commit_sha;
  EXPECT_EQ(ReadFile(OwnTree() + "/x"), "x\n");
  const std::string twice =
      Stage("build", "echo x >> x").git_commit_sha;  // its end was not told: in the files as they are
  EXPECT_EQ(ReadFile(OwnTree() + "/x"), "x\nx\n");
  EXPECT_EQ(user_.Run("git rev-parse " + twice + "^"), once);
  Stage("a", "echo a > a", {.branch = "fan-1"});
  Stage("a", "echo a > a", {.branch = "fan-1"});
  const std::string adopted = Stage("join", "", {.adopt = "fan-1"}).git_commit_sha;
  EXPECT_EQ(Stage("join", "", {.adopt = "fan-1"}).git_commit_sha, adopted);
  EXPECT_EQ(ReadFile(OwnTree() + "/a"), "a\n");
  Remove();
  Remove();
  prepared_ = {};  // it died before it could tell
  Remove();
  EXPECT_EQ(Branches(), std::string("fabro/run/") + kRun);
}

TEST_F(GitRun, HalfMadeWorktreeIsRemovedWhenThePreparationWasCutShort) {
  Prepare();
  prepared_ = {};
  Shell(OwnTree(), "rm -rf README .git");
  Remove();
  EXPECT_FALSE(std::filesystem::exists(OwnTree()));
  EXPECT_EQ(user_.Run("git worktree list | wc -l"), "1");
}

TEST_F(GitRun, WhatAStageLeftWhenItWasCutShortIsOnTheBranchAtTheEnd) {
  Prepare();
  Stage("build", "echo x > x");
  testing::WriteFile(OwnTree() + "/half", "half");
  Remove();
  EXPECT_EQ(user_.Run(std::string("git show fabro/run/") + kRun + ":half"), "half");
}

TEST_F(GitRun, GoesBackToACommit) {
  Prepare();
  const std::string one = Stage("one", "echo 1 > n").git_commit_sha;
  Stage("two", "echo 2 > n; echo x > later");
  testing::WriteFile(OwnTree() + "/half", "half");
  const engine::Outcome again = Stage("two-2", "cat n > seen; ls > list", {.restore_sha = one});
  EXPECT_EQ(ReadFile(OwnTree() + "/seen"), "1\n");
  EXPECT_EQ(ReadFile(OwnTree() + "/list"), "README\nlist\nn\nseen\nsrc\n");
  EXPECT_EQ(again.files_touched, (std::vector<std::string>{"list", "seen"}));
  EXPECT_EQ(user_.Run("git rev-parse " + again.git_commit_sha + "^"), one);
}

TEST_F(GitRun, SaysThatACommitToGoBackToHasGone) {
  Prepare();
  const engine::Outcome outcome = Stage("one", "true", {.restore_sha = std::string(40, '1')});
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  EXPECT_NE(outcome.failure->message.find(std::string(40, '1')), std::string::npos)
      << outcome.failure->message;
  EXPECT_TRUE(shell_.folders.empty());
}

TEST_F(GitRun, ForkBeginsWithTheCommitOfItsCheckpoint) {
  Prepare();
  const std::string one = Stage("one", "echo 1 > n").git_commit_sha;
  Stage("two", "echo 2 > n");
  user_.Write("README", "the folder has changed since");
  before_ = user_.Checkout();
  RunContext fork = Context(kFork);
  fork.start_sha = one;
  const engine::Prepared prepared = Prepare(std::move(fork));
  EXPECT_EQ(prepared.base_sha, one);
  EXPECT_EQ(ReadFile(prepared.work_dir + "/n"), "1\n");
}

TEST_F(GitRun, BranchesWorkApartAndTheBestIsTakenOver) {
  Prepare();
  Stage("one", "echo 1 > n");
  testing::WriteFile(OwnTree() + "/by-a-child", "x");
  Stage("a", "echo a > n; ls > list", {.branch = "fan-1"});
  Stage("b", "echo b > n", {.branch = "fan-2"});
  Stage("b2", "echo b2 >> n", {.branch = "fan-2"});
  EXPECT_EQ(shell_.folders[1], Folder("fan-1"));
  EXPECT_EQ(ReadFile(OwnTree() + "/n"), "1\n");
  EXPECT_EQ(ReadFile(Folder("fan-1") + "/list"), "README\nby-a-child\nlist\nn\nsrc\n");
  const engine::Outcome join = Stage("join", "", {.adopt = "fan-2"});
  EXPECT_EQ(join.status, OutcomeStatus::kSuccess);
  EXPECT_EQ(join.files_touched, std::vector<std::string>{"n"});
  EXPECT_EQ(ReadFile(OwnTree() + "/n"), "b\nb2\n");
  EXPECT_EQ(user_.Run("git log --format=%s " + join.git_commit_sha),
            "fabro: b2 (success)\nfabro: b (success)\nfabro: before fan-1\nfabro: one (success)\nfirst");
  EXPECT_EQ(Shell(runs_dir_, "ls " + std::string(kRun) + "/trees"), "");
  EXPECT_EQ(Stage("after", "cat n > seen").files_touched, std::vector<std::string>{"seen"});
  Remove();
  EXPECT_EQ(Branches(), std::string("fabro/run/") + kRun);
  EXPECT_EQ(user_.Run("git worktree list | wc -l"), "1");
}

TEST_F(GitRun, BranchesWithinBranches) {
  Prepare();
  Stage("x", "echo x > x", {.branch = "inner-1", .outer = {"outer-1"}});
  Stage("y", "echo y > y", {.branch = "inner-2", .outer = {"outer-1"}});
  Stage("p", "echo p > p", {.branch = "outer-2"});
  Stage("ij", "", {.branch = "outer-1", .adopt = "inner-2"});
  EXPECT_EQ(ReadFile(Folder("outer-1") + "/y"), "y\n");
  EXPECT_FALSE(std::filesystem::exists(Folder("outer-1") + "/x"));
  EXPECT_TRUE(std::filesystem::exists(Folder("outer-2")));  // the inner fan-in is none of its business
  Stage("oj", "", {.adopt = "outer-1"});
  EXPECT_EQ(Shell(OwnTree(), "ls"), "README\nsrc\ny");
}

TEST_F(GitRun, BranchWithoutAStageOfItsOwnGivesTheFilesAsTheyWere) {
  Prepare();
  const std::string one = Stage("one", "echo 1 > n").git_commit_sha;
  Stage("a", "echo a > n", {.branch = "fan-1"});
  EXPECT_EQ(Stage("join", "", {.adopt = "fan-2"}).git_commit_sha, one);
  EXPECT_FALSE(std::filesystem::exists(Folder("fan-1")));
}

TEST_F(GitRun, BranchesAfterARewindBeginWithTheCheckpointsFiles) {
  Prepare();
  const std::string one = Stage("one", "echo 1 > n").git_commit_sha;
  Stage("two", "echo 2 > n");
  Stage("a", "cp n seen", {.branch = "fan-3-1", .restore_sha = one});
  EXPECT_EQ(ReadFile(Folder("fan-3-1") + "/seen"), "1\n");
  EXPECT_EQ(ReadFile(OwnTree() + "/n"), "1\n");
  const engine::Outcome join = Stage("join", "", {.restore_sha = one, .adopt = "fan-3-1"});
  EXPECT_EQ(join.status, OutcomeStatus::kSuccess) << join.failure->message;
  EXPECT_EQ(ReadFile(OwnTree() + "/seen"), "1\n");
}

TEST_F(GitRun, BranchIsNotTakenOverWhenTheRunHasMovedOn) {
  Prepare();
  Stage("a", "echo a > n", {.branch = "fan-1"});
  Stage("one", "echo 1 > n");
  const engine::Outcome join = Stage("join", "", {.adopt = "fan-1"});
  EXPECT_EQ(join.status, OutcomeStatus::kFail);
  EXPECT_EQ(join.failure->failure_class, engine::FailureClass::kStructural);
  EXPECT_EQ(ReadFile(OwnTree() + "/n"), "1\n");
}

TEST_F(GitRun, BranchNamesMayBeAnything) {
  Prepare();
  const engine::Outcome outcome = Stage("a", "echo a > n", {.branch = "a b/../c~^:-1"});
  EXPECT_EQ(outcome.status, OutcomeStatus::kSuccess) << outcome.failure->message;
  Remove();
  EXPECT_EQ(Branches(), std::string("fabro/run/") + kRun);
}

TEST_F(GitRun, SetUpIsNoChangeOfTheRuns) {
  auto made = Make(Context());
  ASSERT_TRUE(made.ok() && *made);
  testing::WriteFile(OwnTree() + "/generated", "x");
  const auto sealed = RunTask(runtime_.executor(), worktrees_.SealSetup(Context(), **made));
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_NE(sealed->base_sha, first_);
  prepared_ = {.work_dir = sealed->work_dir,
               .repository = sealed->repository,
               .base_sha = sealed->base_sha,
               .failure = {}};
  EXPECT_EQ(Stage("build", "echo x > x").files_touched, std::vector<std::string>{"x"});
}

TEST_F(GitRun, PreservedWorktreeStaysUntilTheRunIsDeleted) {
  settings_.sandbox.preserve = true;
  Prepare();
  Stage("a", "echo a > a", {.branch = "fan-1"});
  Stage("one", "echo 1 > n");
  Remove();
  EXPECT_EQ(ReadFile(OwnTree() + "/n"), "1\n");
  EXPECT_FALSE(std::filesystem::exists(Folder("fan-1")));
  for (int twice = 0; twice < 2; ++twice) {
    const absl::Status forgotten = RunTask(runtime_.executor(), worktrees_.ForgetRun(*RunId::Parse(kRun)));
    EXPECT_TRUE(forgotten.ok()) << forgotten;
  }
  EXPECT_EQ(user_.Run("git worktree list | wc -l"), "1");
}

TEST_F(GitRun, EndsWellWhenItsRepositoryHasGone) {
  Prepare();
  const auto gone = user_.beside("gone");
  std::filesystem::rename(user_.path(), gone);
  const engine::Outcome outcome = Stage("one", "true");
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  EXPECT_NE(outcome.failure->message.find(user_.git_folder()), std::string::npos) << outcome.failure->message;
  Remove();
  EXPECT_FALSE(std::filesystem::exists(OwnTree()));
  std::filesystem::rename(gone, user_.path());
}

TEST_F(GitRun, ManyRunsAtOneRepositoryDoNotDisturbEachOther) {
  constexpr int kRuns = 8;
  std::vector<Task<absl::StatusOr<std::optional<RunWorktree>>>> makings;
  std::vector<std::optional<absl::StatusOr<std::optional<RunWorktree>>>> made(kRuns);
  TaskScope scope(runtime_.executor());
  for (int i = 0; i < kRuns; ++i) {
    std::string id = kRun;
    id.back() = static_cast<char>('A' + i);
    scope.Spawn("make", testing::KeepResult(worktrees_.MakeForRun(Context(id.c_str()), &sink_),
                                            &made[static_cast<std::size_t>(i)]));
  }
  scope.JoinBlocking();
  for (const auto& one : made) EXPECT_TRUE((*one).ok() && **one) << (*one).status();
  EXPECT_EQ(user_.Run("git worktree list | wc -l"), std::to_string(kRuns + 1));
}

}  // namespace
}  // namespace fabro::stages
