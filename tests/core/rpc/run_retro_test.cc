#include "core/rpc/services/run_retro.h"

#include <gtest/gtest.h>

#include "fabro/v1/retro.pb.h"

namespace fabro::rpc {
namespace {

TEST(Smoothness, FollowsFromTheEndAndTheFriction) {
  struct Row {
    RetroFacts facts;
    v1::SmoothnessRating rating;
  };
  const Row table[] = {
      {{RunStatus::kCompleted, false, 0}, v1::SMOOTHNESS_RATING_EFFORTLESS},
      {{RunStatus::kCompleted, false, 1}, v1::SMOOTHNESS_RATING_SMOOTH},
      {{RunStatus::kCompleted, false, 2}, v1::SMOOTHNESS_RATING_BUMPY},
      {{RunStatus::kCompleted, false, 4}, v1::SMOOTHNESS_RATING_BUMPY},
      {{RunStatus::kCompleted, false, 5}, v1::SMOOTHNESS_RATING_STRUGGLED},
      {{RunStatus::kCompleted, true, 0}, v1::SMOOTHNESS_RATING_BUMPY},
      {{RunStatus::kCompleted, true, 5}, v1::SMOOTHNESS_RATING_STRUGGLED},
      {{RunStatus::kFailed, false, 0}, v1::SMOOTHNESS_RATING_FAILED},
      {{RunStatus::kCancelled, false, 0}, v1::SMOOTHNESS_RATING_FAILED},
  };
  for (const Row& row : table) {
    EXPECT_EQ(SmoothnessOf(row.facts), row.rating)
        << ToString(row.facts.status) << " " << row.facts.is_partial << " " << row.facts.friction_points;
  }
}

}  // namespace
}  // namespace fabro::rpc
