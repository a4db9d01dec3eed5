#include "core/engine/hindsight.h"

#include <gtest/gtest.h>

#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/retro.pb.h"

namespace fabro::engine {
namespace {

TEST(Smoothness, FollowsFromTheEndAndTheFriction) {
  struct Row {
    RetroFacts facts;
    Smoothness rating;
  };
  const Row table[] = {
      {{RunStatus::kCompleted, false, 0}, Smoothness::kEffortless},
      {{RunStatus::kCompleted, false, 1}, Smoothness::kSmooth},
      {{RunStatus::kCompleted, false, 2}, Smoothness::kBumpy},
      {{RunStatus::kCompleted, false, 4}, Smoothness::kBumpy},
      {{RunStatus::kCompleted, false, 5}, Smoothness::kStruggled},
      {{RunStatus::kCompleted, true, 0}, Smoothness::kBumpy},
      {{RunStatus::kCompleted, true, 5}, Smoothness::kStruggled},
      {{RunStatus::kFailed, false, 0}, Smoothness::kFailed},
      {{RunStatus::kCancelled, false, 0}, Smoothness::kFailed},
  };
  for (const Row& row : table) {
    EXPECT_EQ(SmoothnessOf(row.facts), row.rating)
        << ToString(row.facts.status) << " " << row.facts.is_partial << " " << row.facts.friction_points;
  }
}

TEST(Hindsight, CountsWhatWentAgainstTheGrain) {
  v1::Event retried;
  retried.mutable_stage_failed()->set_will_retry(true);
  v1::Event failed;
  failed.mutable_stage_failed()->mutable_failure()->set_failure_class(v1::FAILURE_CLASS_DETERMINISTIC);
  v1::Event cancelled;
  cancelled.mutable_stage_failed()->mutable_failure()->set_failure_class(v1::FAILURE_CLASS_CANCELED);
  v1::Event lenient;
  lenient.mutable_stage_completed()->set_status(v1::OUTCOME_STATUS_FAIL);
  v1::Event late;
  late.mutable_stage_failed()->set_will_retry(true);
  late.mutable_stage_failed()->mutable_failure()->set_timed_out(true);
  v1::Event lenient_late = lenient;
  lenient_late.mutable_stage_completed()->mutable_failure()->set_timed_out(true);
  v1::Event good;
  good.mutable_stage_completed()->set_status(v1::OUTCOME_STATUS_SUCCESS);
  v1::Event unanswered;
  unanswered.mutable_interview_timeout();
  v1::Event stalled;
  stalled.mutable_stall_watchdog_timeout();
  v1::Event retrying;
  retrying.mutable_stage_retrying();
  EXPECT_EQ(FrictionOf(retried), v1::FRICTION_KIND_RETRY);
  EXPECT_EQ(FrictionOf(failed), v1::FRICTION_KIND_TOOL_FAILURE);
  EXPECT_EQ(FrictionOf(cancelled), std::nullopt);
  EXPECT_EQ(FrictionOf(lenient), v1::FRICTION_KIND_TOOL_FAILURE);
  EXPECT_EQ(FrictionOf(late), v1::FRICTION_KIND_TIMEOUT);
  EXPECT_EQ(FrictionOf(lenient_late), v1::FRICTION_KIND_TIMEOUT);
  EXPECT_EQ(FrictionOf(good), std::nullopt);
  EXPECT_EQ(FrictionOf(unanswered), v1::FRICTION_KIND_TIMEOUT);
  EXPECT_EQ(FrictionOf(stalled), v1::FRICTION_KIND_TIMEOUT);
  EXPECT_EQ(FrictionOf(retrying), std::nullopt);  // its StageFailed counts

  Hindsight seen;
  for (const v1::Event& event : {retried, retrying, failed, cancelled, good, stalled}) Recall(event, seen);
  EXPECT_EQ(seen.friction_points, 3U);
  EXPECT_EQ(seen.retries, 1U);
}

TEST(Hindsight, KeepsEachFileOnceAndSoManyOfThem) {
  Hindsight seen;
  v1::Event event;
  for (std::size_t i = 0; i < kMaxFilesTouched; ++i) {
    event.mutable_stage_completed()->add_files_touched("f" + std::to_string(i));
  }
  Recall(event, seen);
  Recall(event, seen);
  EXPECT_EQ(seen.files_touched.size(), kMaxFilesTouched);
  event.mutable_stage_completed()->add_files_touched("one more");
  Recall(event, seen);
  EXPECT_EQ(seen.files_touched.size(), kMaxFilesTouched);
}

}  // namespace
}  // namespace fabro::engine
