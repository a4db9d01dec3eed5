#include "core/git/globs.h"

#include <gtest/gtest.h>

namespace fabro::git {
namespace {

bool Matches(const std::string& pattern, std::string_view path) {
  const absl::StatusOr<Globs> globs = Globs::Parse({"unrelated", pattern});
  return globs.ok() && globs->Matches(path);
}

TEST(Globs, ANameMatchesAtAnyDepthWithAllBelow) {
  EXPECT_TRUE(Matches("node_modules", "node_modules"));
  EXPECT_TRUE(Matches("node_modules", "a/node_modules/b/c"));
  EXPECT_TRUE(Matches("node_modules/", "a/node_modules/b"));
  EXPECT_FALSE(Matches("node_modules", "a/node_modules2"));
  EXPECT_TRUE(Matches("*.log", "a/b.log"));
  EXPECT_FALSE(Matches("*.log", "a/b.logs"));
}

TEST(Globs, APathMatchesFromTheRoot) {
  EXPECT_TRUE(Matches("dist/*.js", "dist/a.js"));
  EXPECT_FALSE(Matches("dist/*.js", "x/dist/a.js"));
  EXPECT_FALSE(Matches("dist/*.js", "dist/x/a.js"));
  EXPECT_TRUE(Matches("/dist", "dist/x"));
  EXPECT_FALSE(Matches("/dist", "x/dist"));
  EXPECT_TRUE(Matches("**/dist/**", "dist/x"));
  EXPECT_TRUE(Matches("**/dist/**", "a/b/dist/x/y"));
  EXPECT_TRUE(Matches("a/**/z", "a/z"));
  EXPECT_TRUE(Matches("a/**/z", "a/b/c/z"));
}

TEST(Globs, SetsQuestionMarksAndBackslashes) {
  EXPECT_TRUE(Matches("v[0-9]?", "v1x"));
  EXPECT_FALSE(Matches("v[!0-9]", "v1"));
  EXPECT_TRUE(Matches("v[!0-9]", "va"));
  EXPECT_FALSE(Matches("a[!b]c", "a/c"));
  EXPECT_TRUE(Matches("v[]x]", "v]"));
  EXPECT_TRUE(Matches("v[", "v["));
  EXPECT_TRUE(Matches("a\\*", "a*"));
  EXPECT_FALSE(Matches("a\\*", "ab"));
  EXPECT_TRUE(Matches("a+(b)", "a+(b)"));
}

TEST(Globs, AnyBytesAreAPath) {
  EXPECT_TRUE(Matches("*.o", "\xff\xfe\n.o"));
  EXPECT_TRUE(Matches("?", "\xff"));
}

TEST(Globs, RefusesWhatCannotBeOne) {
  EXPECT_FALSE(Globs::Parse({"a[z-a]"}).ok());
  EXPECT_TRUE(Globs::Parse({}).ok());
  EXPECT_FALSE(Globs::Parse({""})->Matches("a"));
}

}  // namespace
}  // namespace fabro::git
