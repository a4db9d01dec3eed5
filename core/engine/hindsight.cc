#include "core/engine/hindsight.h"

#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/retro.pb.h"

namespace fabro::engine {

std::optional<v1::FrictionKind> FrictionOf(const v1::Event& event) {
  if (event.has_stage_failed()) {
    const v1::StageFailed& failed = event.stage_failed();
    if (failed.failure().timed_out()) return v1::FRICTION_KIND_TIMEOUT;
    if (failed.will_retry()) return v1::FRICTION_KIND_RETRY;
    // A cancel is somebody's wish.
    if (failed.failure().failure_class() == v1::FAILURE_CLASS_CANCELED) return std::nullopt;
    return v1::FRICTION_KIND_TOOL_FAILURE;
  }
  if (event.has_stage_completed() && event.stage_completed().status() == v1::OUTCOME_STATUS_FAIL) {
    const bool late = event.stage_completed().failure().timed_out();
    return late ? v1::FRICTION_KIND_TIMEOUT : v1::FRICTION_KIND_TOOL_FAILURE;
  }
  if (event.has_interview_timeout() || event.has_stall_watchdog_timeout()) return v1::FRICTION_KIND_TIMEOUT;
  return std::nullopt;
}

void Recall(const v1::Event& event, Hindsight& hindsight) {
  if (FrictionOf(event)) ++hindsight.friction_points;
  if (event.has_stage_retrying()) ++hindsight.retries;
  for (const std::string& file : event.stage_completed().files_touched()) {
    if (hindsight.files_touched.size() < kMaxFilesTouched) hindsight.files_touched.insert(file);
  }
}

Smoothness SmoothnessOf(const RetroFacts& facts) {
  if (facts.status != RunStatus::kCompleted) return Smoothness::kFailed;
  if (facts.friction_points > 4) return Smoothness::kStruggled;
  if (facts.friction_points > 1 || facts.is_partial) return Smoothness::kBumpy;
  if (facts.friction_points == 1) return Smoothness::kSmooth;
  return Smoothness::kEffortless;
}

}  // namespace fabro::engine
