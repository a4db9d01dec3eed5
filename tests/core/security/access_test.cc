#include "core/security/access.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace fabro::security {
namespace {

AccessLists Lists() {
  AccessLists lists;
  lists.viewers = {"vera", "anna"};
  lists.operators = {"otto", "cn:builder"};
  lists.admins = {"anna"};
  return lists;
}

TEST(Access, LetsEveryoneDoEverythingWithoutLists) {
  const Access access(std::nullopt);
  EXPECT_EQ(access.RoleOf("anybody"), Role::kAdmin);
  EXPECT_TRUE(access.Check("anybody", Role::kAdmin).ok());
}

TEST(Access, GivesTheGreatestRoleThatNamesThePrincipal) {
  const Access access(Lists());
  EXPECT_EQ(access.RoleOf("vera"), Role::kViewer);
  EXPECT_EQ(access.RoleOf("otto"), Role::kOperator);
  EXPECT_EQ(access.RoleOf("anna"), Role::kAdmin);
  EXPECT_EQ(access.RoleOf("nobody"), Role::kNone);
  EXPECT_EQ(access.RoleOf(""), Role::kNone);
}

TEST(Access, TellsTheHolderOfACertificateFromTheUserOfThatName) {
  const Access access(Lists());
  EXPECT_EQ(access.RoleOf("cn:builder"), Role::kOperator);
  EXPECT_EQ(access.RoleOf("builder"), Role::kNone);
  EXPECT_EQ(access.RoleOf("cn:anna"), Role::kNone);
}

TEST(Access, ARoleIncludesTheLesserOnes) {
  const Access access(Lists());
  for (const Role needed : {Role::kNone, Role::kViewer, Role::kOperator, Role::kAdmin}) {
    EXPECT_EQ(access.Check("otto", needed).ok(), needed <= Role::kOperator) << ToString(needed);
  }
}

TEST(Access, NamesTheRoleThatIsNeeded) {
  const absl::Status status = Access(Lists()).Check("vera", Role::kAdmin);
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_EQ(ReasonOf(status), Reason::kForbidden);
  EXPECT_EQ(MessageOf(status), "Access denied. This needs the role admin.");
}

TEST(Access, EmptyListsShutEveryoneOut) {
  const Access access{AccessLists()};
  EXPECT_FALSE(access.Check("anna", Role::kViewer).ok());
  EXPECT_TRUE(access.Check("anna", Role::kNone).ok());  // open routes
}

TEST(Access, NewListsCountAtOnce) {
  Access access(Lists());
  AccessLists lists;
  lists.viewers = {"otto"};
  access.Set(lists);
  EXPECT_EQ(access.RoleOf("otto"), Role::kViewer);
  EXPECT_EQ(access.RoleOf("anna"), Role::kNone);
  access.Set(std::nullopt);
  EXPECT_EQ(access.RoleOf("anna"), Role::kAdmin);
}

}  // namespace
}  // namespace fabro::security
