#include "core/git/worktree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/support/git_repository.h"

namespace fabro::git {
namespace {

using testing::GitRepository;
using testing::ReadFile;
using testing::Shell;
using testing::WriteFile;

class Worktrees : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(user_.Checkout(), checkout_) << "the user's checkout was touched"; }

  Worktree Tree(const std::string& name = "one") const {
    return {.repository = user_.git_folder(),
            .path = user_.beside("runs/" + name + "/tree").string(),
            .name = "fabro-" + name,
            .branch = "fabro/run/" + name};
  }

  Worktree Made(const std::string& name = "one") {
    const auto made = MakeWorktree(Tree(name), first_, stop_);
    EXPECT_TRUE(made.ok()) << made.status();
    return Tree(name);
  }

  Committed Commit(const Worktree& tree, const std::string& message = "m") {
    auto committed =
        CommitWorktree(tree, {.message = message, .excluded = excluded_, .at = {1'700'000'000'000}}, stop_);
    EXPECT_TRUE(committed.ok()) << committed.status();
    return committed.ok() ? *std::move(committed) : Committed();
  }

  static std::string Git(const Worktree& tree, const std::string& arguments) {
    return Shell(tree.path, "git " + arguments);
  }

  void Write(const Worktree& tree, const std::string& name, const std::string& text) {
    WriteFile(std::filesystem::path(tree.path) / name, text);
  }

  const GitRepository user_;
  const std::string first_ = user_.Head();
  const std::map<std::string, std::string> checkout_ = user_.Checkout();
  Stop stop_;
  Globs excluded_;
};

TEST_F(Worktrees, HaveTheFilesOfTheCommitAndABranchOfTheirOwn) {
  const auto made = MakeWorktree(Tree(), first_, stop_);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(*made, first_);
  EXPECT_EQ(ReadFile(Tree().path + "/src/main.c"), "int main;\n");
  EXPECT_EQ(Git(Tree(), "status --porcelain --branch"), "## fabro/run/one");
  EXPECT_EQ(Git(Tree(), "fsck"), "");
}

TEST_F(Worktrees, AreFoundAgainWithWhatIsInThem) {
  Write(Made(), "README", "changed\n");
  user_.Run("git commit -q --allow-empty -m later");  // the user goes on meanwhile
  const auto again = MakeWorktree(Tree(), user_.Head(), stop_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, first_);
  EXPECT_EQ(ReadFile(Tree().path + "/README"), "changed\n");
  user_.Run("git reset -q --soft " + first_);
}

// Each is a place where a crash may have left it.
TEST_F(Worktrees, AreMadeWholeFromAnyPart) {
  const std::string own = Tree().path;
  const std::string known = user_.git_folder() + "/worktrees/fabro-one";
  const std::vector<std::pair<const char*, std::function<void()>>> parts = {
      {"only the branch", [&] { user_.Run("rm -rf '" + own + "' '" + known + "'"); }},
      {"an empty folder",
       [&] { user_.Run("rm -rf '" + known + "'; rm -rf '" + own + "'/* '" + own + "/.git'"); }},
      {"a folder that is not known", [&] { user_.Run("rm -rf '" + known + "'"); }},
      {"known without a folder", [&] { user_.Run("rm -rf '" + own + "'"); }},
      {"known in part", [&] { user_.Run("rm '" + known + "/HEAD' '" + known + "/commondir'"); }},
      {"files in part", [&] { user_.Run("rm '" + known + "/index' '" + own + "/README'"); }},
      {"locks",
       [&] {
         user_.Run("touch '" + known + "/index.lock' '" + known +
                   "/HEAD.lock' .git/refs/heads/fabro/run/one.lock");
       }},
  };
  for (const auto& [name, leave] : parts) {
    SCOPED_TRACE(name);
    Made();
    leave();
    Write(Made(), "new", name);
    EXPECT_EQ(Git(Tree(), "status --porcelain"), "?? new");
    EXPECT_NE(Commit(Tree()).sha, "");
    ASSERT_TRUE(ResetWorktree(Tree(), first_, Globs(), stop_).ok());
  }
}

// A stage in a sandbox can write nothing but its folder; what we do for it must not reach further.
TEST_F(Worktrees, DoNotFollowWhatAStageWroteInThem) {
  const GitRepository victim;
  const auto before = victim.Checkout();
  const Worktree tree = Made();
  for (const std::string& lead :
       {"echo 'gitdir: " + victim.git_folder() + "' > .git", "ln -s '" + victim.git_folder() + "' .git",
        "git init -q . && git config core.worktree '" + victim.folder() + "'", std::string("true")}) {
    SCOPED_TRACE(lead);
    Shell(tree.path, "rm -rf .git; " + lead);
    Write(tree, "new", lead);
    const std::string sha = Commit(tree).sha;
    EXPECT_EQ(user_.Run("git show fabro/run/one:new"), lead);
    EXPECT_EQ(*HeadOf(tree), sha);
    ASSERT_TRUE(ResetWorktree(tree, first_, Globs(), stop_).ok());
    EXPECT_FALSE(std::filesystem::exists(tree.path + "/new"));
    Made();
    EXPECT_EQ(Git(tree, "status --porcelain --branch"), "## fabro/run/one");
  }
  EXPECT_EQ(victim.Checkout(), before);
}

TEST_F(Worktrees, DoNotWriteThroughLinks) {
  const Worktree tree = Made();
  const auto outside = user_.beside("outside");
  testing::WriteFile(outside / "main.c", "mine");
  Shell(tree.path, "rm -rf src && ln -s '" + outside.string() + "' src");
  ASSERT_TRUE(ResetWorktree(tree, first_, Globs(), stop_).ok());
  EXPECT_EQ(ReadFile(outside / "main.c"), "mine");
  EXPECT_EQ(ReadFile(tree.path + "/src/main.c"), "int main;\n");
  Write(tree, "old/main.c", "x");
  Commit(tree);
  Shell(tree.path,
        "rm -rf old && ln -s '" + outside.string() + "' old && ln -s '" + outside.string() + "' there");
  ASSERT_TRUE(ResetWorktree(tree, first_, Globs(), stop_).ok());
  ASSERT_TRUE(RemoveWorktree(tree).ok());
  EXPECT_EQ(ReadFile(outside / "main.c"), "mine");
}

TEST_F(Worktrees, DoNotCommitThroughLinks) {
  const Worktree tree = Made();
  testing::WriteFile(user_.beside("outside") / "main.c", "secret");
  Shell(tree.path, "rm -rf src && ln -s ../../../outside src && ln -s ../../../outside there");
  Commit(tree);
  EXPECT_EQ(Git(tree, "ls-tree -r --name-only HEAD"), ".gitignore\nREADME\nsrc\nthere");
  EXPECT_EQ(Git(tree, "show HEAD:src"), "../../../outside");
}

TEST_F(Worktrees, CanBeMadeWhileAnotherOneIsBroken) {
  user_.Run("mkdir -p .git/worktrees/half && echo x > .git/worktrees/half/gitdir");
  EXPECT_EQ(Git(Made(), "status --porcelain"), "");
}

TEST_F(Worktrees, StopBetweenFilesAndGoOnLater) {
  stop_.Ask();
  EXPECT_TRUE(absl::IsCancelled(MakeWorktree(Tree(), first_, stop_).status()));
  const Stop another;
  const auto made = MakeWorktree(Tree(), first_, another);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(Git(Tree(), "status --porcelain"), "");
}

TEST_F(Worktrees, CommitWhatChanged) {
  const Worktree tree = Made();
  Write(tree, "README", "changed\n");
  Write(tree, "new/file", "new\n");
  Write(tree, "build/out", "ignored\n");
  Shell(tree.path, "rm src/main.c");
  const std::string sha = Commit(tree, "subject\n\nFabro-Run: one\n").sha;
  EXPECT_EQ(Git(tree, "rev-parse fabro/run/one HEAD"), sha + "\n" + sha);
  EXPECT_EQ(Git(tree, "show --no-renames --name-status --format=%P HEAD"),
            first_ + "\n\nM\tREADME\nA\tnew/file\nD\tsrc/main.c");
  EXPECT_EQ(Git(tree, "log -1 --format='%an <%ae> %at %s|%(trailers:key=Fabro-Run,valueonly)'"),
            "Fabro <fabro@localhost> 1700000000 subject|one\n");
  EXPECT_EQ(Git(tree, "status --porcelain"), "");
}

TEST_F(Worktrees, CommitNothingTwice) {
  const Worktree tree = Made();
  EXPECT_EQ(Commit(tree).sha, first_);
  Write(tree, "new", "x");
  const std::string sha = Commit(tree).sha;
  EXPECT_NE(sha, first_);
  EXPECT_EQ(Commit(tree).sha, sha);
}

TEST_F(Worktrees, LeaveOutWhatIsExcluded) {
  excluded_ = *Globs::Parse({"*.log", "src/"});
  const Worktree tree = Made();
  Write(tree, "a/b.log", "x");
  Write(tree, "src/main.c", "changed\n");
  Write(tree, "a/c", "x");
  const std::string sha = Commit(tree).sha;
  EXPECT_EQ(Git(tree, "show --name-only --format= HEAD"), "a/c");
  EXPECT_EQ(Commit(tree).sha, sha);
}

TEST_F(Worktrees, CommitOnTheRunsBranchWhateverAStageCheckedOut) {
  const Worktree tree = Made();
  Git(tree,
      "checkout -q -b other && echo x > x && git add x && git -c user.name=B -c user.email=b commit -qm "
      "theirs");
  Write(tree, "y", "y");
  const std::string sha = Commit(tree).sha;
  EXPECT_EQ(Git(tree, "symbolic-ref HEAD"), "refs/heads/fabro/run/one");
  EXPECT_EQ(Git(tree, "log --format=%s " + sha), "m\ntheirs\nfirst");
  EXPECT_EQ(Git(tree, "log -1 --format=%s other"), "theirs");
  Git(tree, "checkout -q --detach && git -c user.name=B -c user.email=b commit -q --allow-empty -m loose");
  EXPECT_EQ(Commit(tree).sha, Git(tree, "rev-parse HEAD"));
  EXPECT_EQ(Git(tree, "log -1 --format=%s fabro/run/one"), "loose");
  Git(tree, "branch -q -D other");
}

TEST_F(Worktrees, PassOverRepositoriesInside) {
  const Worktree tree = Made();
  Git(tree,
      "init -q empty && git init -q full && cd full && git -c user.name=B -c user.email=b commit -q "
      "--allow-empty -m x");
  Write(tree, "z", "z");
  Commit(tree);
  EXPECT_EQ(Git(tree, "show --name-only --format= HEAD"), "z");
  ASSERT_TRUE(ResetWorktree(tree, first_, Globs(), stop_).ok());
  EXPECT_TRUE(std::filesystem::exists(tree.path + "/full/.git"));
}

TEST_F(Worktrees, CommitAMergeThatWasLeftUnfinished) {
  const Worktree tree = Made();
  Git(tree,
      "config user.name B; git config user.email b; git checkout -q -b side; echo side > README; git commit "
      "-qam side;"
      "git checkout -q fabro/run/one; echo own > README; git commit -qam own; git merge side; git branch -D "
      "side; "
      "git config user.name A; git config user.email a@b");
  ASSERT_EQ(Git(tree, "status --porcelain"), "UU README");
  Commit(tree);
  EXPECT_NE(Git(tree, "show HEAD:README").find("<<<<<<<"), std::string::npos);
}

TEST_F(Worktrees, AreResetToACommit) {
  const Worktree tree = Made();
  excluded_ = *Globs::Parse({"*.log"});
  Write(tree, "README", "second\n");
  const std::string second = Commit(tree).sha;
  Write(tree, "third/file", "x");
  Commit(tree);
  Write(tree, "README", "dirty\n");
  Write(tree, "added", "x");
  Git(tree, "add added");
  Write(tree, "unknown/deep/file", "x");
  Write(tree, "build/out", "ignored\n");
  Write(tree, "a.log", "excluded\n");
  for (int twice = 0; twice < 2; ++twice) {
    const absl::Status reset = ResetWorktree(tree, second, excluded_, stop_);
    ASSERT_TRUE(reset.ok()) << reset;
    EXPECT_EQ(Git(tree, "rev-parse fabro/run/one HEAD"), second + "\n" + second);
    EXPECT_EQ(ReadFile(tree.path + "/README"), "second\n");
    EXPECT_EQ(Git(tree, "status --porcelain"), "?? a.log");
    EXPECT_EQ(Shell(tree.path, "ls"), "README\na.log\nbuild\nsrc");
  }
  EXPECT_TRUE(absl::IsNotFound(ResetWorktree(tree, std::string(40, '1'), Globs(), stop_)));
}

TEST_F(Worktrees, LeaveOnlyTheirBranchWhenTheyAreRemoved) {
  const Worktree tree = Made();
  Write(tree, "new", "x");
  const std::string sha = Commit(tree).sha;
  Shell(tree.path, "mkdir -p build/closed/deep && touch build/closed/deep/x && chmod -R a-w build");
  for (int twice = 0; twice < 2; ++twice) {
    const absl::Status removed = RemoveWorktree(tree);
    ASSERT_TRUE(removed.ok()) << removed;
    EXPECT_FALSE(std::filesystem::exists(tree.path));
    EXPECT_FALSE(std::filesystem::exists(user_.git_folder() + "/worktrees"));
  }
  EXPECT_EQ(user_.Run("git rev-parse fabro/run/one"), sha);
}

TEST_F(Worktrees, BranchesAreDeletedByTheirPrefix) {
  for (const char* name : {"fabro/x/1", "fabro/x/2", "fabro/xy"})
    user_.Run(std::string("git branch ") + name);
  user_.Run("git pack-refs --all && git branch fabro/x/3");
  ASSERT_TRUE(DeleteBranches(user_.git_folder(), "fabro/x/").ok());
  EXPECT_EQ(user_.Run("git for-each-ref --format='%(refname)' refs/heads/fabro"), "refs/heads/fabro/xy");
  user_.Run("git branch -D fabro/xy");
}

TEST_F(Worktrees, OfSubmodulesCommitThemAsTheyWere) {
  // A repository with a submodule, which no worktree of ours fills.
  user_.Run(
      "git init -q ../lib && cd ../lib && git -c user.name=B -c user.email=b commit -q --allow-empty -m x");
  user_.Run(
      "git clone -q . ../outer && cd ../outer && git config user.name A && git config user.email a@b && "
      "git -c protocol.file.allow=always submodule -q add ../lib lib && git commit -qm sub");
  const Worktree tree{.repository = user_.beside("outer/.git").string(),
                      .path = user_.beside("runs/sub/tree").string(),
                      .name = "fabro-sub",
                      .branch = "fabro/run/sub"};
  const auto made = MakeWorktree(tree, Shell(user_.beside("outer"), "git rev-parse HEAD"), stop_);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(Commit(tree).sha, *made);
  Shell(tree.path, "rm -rf lib");
  Write(tree, "new", "x");
  Commit(tree);
  EXPECT_EQ(Git(tree, "show --name-only --format= HEAD"), "new");
}

}  // namespace
}  // namespace fabro::git
