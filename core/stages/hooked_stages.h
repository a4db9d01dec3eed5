// Stages with the hooks of their run around them.
#pragma once

#include "core/stages/hooks.h"
#include "core/stages/stage_runner.h"

namespace fabro::stages {

// Thread-safe. Wraps the runner that does the work, nearest to it: hooks see the files that the stage sees,
// and what they leave belongs to the stage. For each attempt: stage_start before it, and stage_complete or
// stage_failed after it. A stage that was cancelled gets neither.
//
// stage_start may let the stage fail before it begins, or be skipped; stage_complete may turn its success
// into a failure. Both are deterministic, so that no retry asks the hook again, and stage_failed follows.
class HookedStages final : public StageRunner {
 public:
  HookedStages(StageRunner& work, Hooks& hooks) : work_(work), hooks_(hooks) {}

  Task<engine::Outcome> Run(StageRequest request, StageOutputSink* sink) override;

 private:
  Task<engine::Outcome> Work(StageRequest request, Occasion occasion, StageOutputSink* sink);
  Task<engine::Outcome> Judge(Occasion occasion, engine::Outcome outcome);

  StageRunner& work_;
  Hooks& hooks_;
};

}  // namespace fabro::stages
