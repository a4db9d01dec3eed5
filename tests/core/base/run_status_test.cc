#include "core/base/run_status.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace fabro {
namespace {

using enum RunStatus;

// The table of core/base/run_status.h once more, written as pairs: every pair that is not here must be
// refused.
const std::set<std::pair<RunStatus, RunStatus>> kLegal{
    {kQueued, kStarting},    {kQueued, kCancelled}, {kStarting, kRunning},  {kStarting, kFailed},
    {kStarting, kCancelled}, {kRunning, kPaused},   {kRunning, kCompleted}, {kRunning, kFailed},
    {kRunning, kCancelled},  {kPaused, kRunning},   {kPaused, kFailed},     {kPaused, kCancelled},
};

TEST(RunStatus, AllowsExactlyTheMovesOfTheTable) {
  for (const RunStatus from : kAllRunStatuses) {
    for (const RunStatus to : kAllRunStatuses) {
      EXPECT_EQ(CanMove(from, to), kLegal.contains({from, to})) << ToString(from) << " -> " << ToString(to);
    }
  }
}

TEST(RunStatus, NeverLeavesATerminalStatusAndCanAlwaysBeCancelledBefore) {
  for (const RunStatus from : kAllRunStatuses) {
    bool any = false;
    for (const RunStatus to : kAllRunStatuses) any = any || CanMove(from, to);
    EXPECT_EQ(any, !IsTerminal(from)) << ToString(from);
    EXPECT_EQ(CanMove(from, kCancelled), !IsTerminal(from)) << ToString(from);
  }
}

TEST(RunStatus, TextGoesThereAndBack) {
  for (const RunStatus status : kAllRunStatuses) EXPECT_EQ(ParseRunStatus(ToString(status)), status);
  EXPECT_EQ(ToString(kCancelled), "cancelled");
  EXPECT_EQ(ParseRunStatus("canceled"), std::nullopt);
  EXPECT_EQ(ParseRunStatus(""), std::nullopt);
}

TEST(RunStatus, KeepsItsStoredNumbers) {
  EXPECT_EQ(static_cast<int>(kQueued), 0);
  EXPECT_EQ(static_cast<int>(kStarting), 1);
  EXPECT_EQ(static_cast<int>(kRunning), 2);
  EXPECT_EQ(static_cast<int>(kPaused), 3);
  EXPECT_EQ(static_cast<int>(kCompleted), 4);
  EXPECT_EQ(static_cast<int>(kFailed), 5);
  EXPECT_EQ(static_cast<int>(kCancelled), 6);
}

}  // namespace
}  // namespace fabro
