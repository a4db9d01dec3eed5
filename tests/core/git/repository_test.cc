#include "core/git/repository.h"

#include <gtest/gtest.h>

#include "core/git/diff.h"
#include "tests/support/git_repository.h"

namespace fabro::git {
namespace {

using testing::GitRepository;

constexpr const char* kNoCommit = "0123456789012345678901234567890123456789";

TEST(Repository, IsFoundFromASubfolder) {
  const GitRepository user;
  const auto found = FindRepository(user.folder() + "/src");
  ASSERT_TRUE(found.ok() && *found) << found.status();
  EXPECT_EQ((*found)->repository, user.git_folder());
  EXPECT_EQ((*found)->top, user.folder());
  EXPECT_EQ((*found)->below, "src");
  EXPECT_EQ(*HeadOf(user.folder()), user.Head());
  EXPECT_TRUE(*HasFolder(user.git_folder(), user.Head(), "src"));
  EXPECT_FALSE(*HasFolder(user.git_folder(), user.Head(), "README"));
  EXPECT_FALSE(*HasFolder(user.git_folder(), user.Head(), "build"));
}

TEST(Repository, IsFoundFromAWorktreeOfIt) {
  const GitRepository user;
  user.Run("git worktree add -q ../other");
  const auto found = FindRepository(user.beside("other").string());
  ASSERT_TRUE(found.ok() && *found) << found.status();
  EXPECT_EQ((*found)->repository, user.git_folder());
  EXPECT_EQ((*found)->top, user.beside("other").string());
}

TEST(Repository, IsNoneWithoutAWorkingTree) {
  const GitRepository user;
  user.Run("git init -q --bare ../bare");
  for (const auto& folder :
       {user.beside("bare"), user.beside("."), user.beside("missing"), user.path() / ".git"}) {
    const auto found = FindRepository(folder.string());
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_FALSE(*found) << folder;
  }
}

TEST(Repository, HasNoHeadBeforeTheFirstCommit) {
  const GitRepository user;
  user.Run("git init -q ../new");
  const auto head = HeadOf(user.beside("new").string());
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(*head, "");
}

TEST(Repository, IsCleanOrTellsWhatIsNotCommitted) {
  const GitRepository user;
  const Stop stop;
  const auto change = [&] {
    const auto before = user.Checkout();
    auto found = FindChange(user.folder(), stop);
    EXPECT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(user.Checkout(), before) << "looking changed something";
    return found.ok() ? found->value_or("") : "?";
  };
  user.Write("build/out", "ignored");
  EXPECT_EQ(change(), "");
  user.Run("touch README");  // only its time
  EXPECT_EQ(change(), "");
  user.Write("new", "x");
  EXPECT_EQ(change(), "new");
  user.Run("git add new");
  EXPECT_EQ(change(), "new");
  user.Run("git rm -qf new");
  user.Write("src/main.c", "int other;\n");
  EXPECT_EQ(change(), "src/main.c");
  user.Run("git checkout -q src && rm README");
  EXPECT_EQ(change(), "README");
}

TEST(Repository, TellsChangedPathsUpToABound) {
  const GitRepository user;
  const std::string first = user.Head();
  user.Write("b", "b");
  user.Write("a", "a");
  user.Run("rm README && git add -A && git commit -qm second");
  const Stop stop;
  EXPECT_EQ(*ChangedPaths(user.git_folder(), first, user.Head(), 10, stop),
            (std::vector<std::string>{"README", "a", "b"}));
  EXPECT_EQ(*ChangedPaths(user.git_folder(), first, user.Head(), 2, stop),
            (std::vector<std::string>{"README", "a"}));
  EXPECT_TRUE(ChangedPaths(user.git_folder(), first, first, 2, stop)->empty());
  EXPECT_TRUE(absl::IsNotFound(ChangedPaths(user.git_folder(), first, kNoCommit, 2, stop).status()));
  EXPECT_TRUE(*IsAncestor(user.git_folder(), first, user.Head()));
  EXPECT_TRUE(*IsAncestor(user.git_folder(), first, first));
  EXPECT_FALSE(*IsAncestor(user.git_folder(), user.Head(), first));
}

class Diffs : public ::testing::Test {
 protected:
  DiffPage Read(std::size_t offset, std::size_t limit, DiffBounds bounds = DiffBounds()) {
    user_.Run("git add -A && git commit -qm second");
    absl::StatusOr<DiffPage> page =
        Diff(user_.git_folder(), first_, user_.Head(), offset, limit, bounds, stop_);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : DiffPage();
  }

  const GitRepository user_;
  const std::string first_ = user_.Head();
  Stop stop_;
};

TEST_F(Diffs, HaveBothSidesOfAFile) {
  user_.Write("README", "bye\n");
  user_.Write("new", "new\n");
  user_.Run("rm src/main.c && ln -s README link");
  const DiffPage page = Read(0, 10);
  ASSERT_EQ(page.files.size(), 4U);
  EXPECT_EQ(page.files[0].before.path, "README");
  EXPECT_EQ(page.files[0].before.text, "hello\n");
  EXPECT_EQ(page.files[0].after.path, "README");
  EXPECT_EQ(page.files[0].after.text, "bye\n");
  EXPECT_EQ(page.files[1].after.path, "link");
  EXPECT_EQ(page.files[1].after.text, "README");
  EXPECT_EQ(page.files[2].before.path, "");
  EXPECT_EQ(page.files[2].after.text, "new\n");
  EXPECT_EQ(page.files[3].before.path, "src/main.c");
  EXPECT_EQ(page.files[3].after.path, "");
  EXPECT_FALSE(page.has_more);
}

TEST_F(Diffs, ComeInPages) {
  for (const char* name : {"a", "b", "c", "d"}) user_.Write(name, name);
  DiffPage page = Read(1, 2);
  ASSERT_EQ(page.files.size(), 2U);
  EXPECT_EQ(page.files[0].after.path, "b");
  EXPECT_EQ(page.files[1].after.path, "c");
  EXPECT_TRUE(page.has_more);
  page = Read(2, 2);
  EXPECT_FALSE(page.has_more);
  EXPECT_TRUE(Read(4, 2).files.empty());
}

TEST_F(Diffs, LeaveOutWhatIsNoTextOrTooMuch) {
  user_.Write("binary", std::string("a\0b", 3));
  user_.Write("latin", "\xe9\n");
  user_.Write("long", std::string(100, 'x'));
  user_.Write("most", std::string(60, 'x'));
  user_.Write("rest", std::string(60, 'x'));
  const DiffPage page = Read(0, 10, {.file_bytes = 80, .page_bytes = 100});
  ASSERT_EQ(page.files.size(), 5U);
  EXPECT_EQ(page.files[0].after.omitted, Omission::kBinary);
  EXPECT_EQ(page.files[1].after.omitted, Omission::kBinary);
  EXPECT_EQ(page.files[2].after.omitted, Omission::kTooLarge);
  EXPECT_EQ(page.files[3].after.omitted, Omission::kNone);
  EXPECT_EQ(page.files[4].after.omitted, Omission::kTooLarge);
  EXPECT_EQ(page.files[4].after.text, "");
}

TEST_F(Diffs, StopWhenAsked) {
  user_.Write("a", "a");
  (void)Read(0, 1);
  stop_.Ask();
  EXPECT_TRUE(
      absl::IsCancelled(Diff(user_.git_folder(), first_, user_.Head(), 0, 10, DiffBounds(), stop_).status()));
}

TEST_F(Diffs, SayThatTheRepositoryHasGone) {
  std::filesystem::remove_all(user_.git_folder());
  const auto page = Diff(user_.git_folder(), first_, first_, 0, 10, DiffBounds(), stop_);
  EXPECT_TRUE(absl::IsNotFound(page.status())) << page.status();
}

}  // namespace
}  // namespace fabro::git
