// Command stages: a script in the run's sandbox and working directory.
#pragma once

#include <string>

#include "core/async/blocking_pool.h"
#include "core/events/redactor.h"
#include "core/sandbox/sandboxes.h"
#include "core/stages/stage_runner.h"

namespace fabro::stages {

// Thread-safe. Exit 0 is success, anything else a deterministic failure with the code and both streams in its
// text; a time-out is transient_infra. Output is redacted before it leaves this class.
class CommandRunner final : public StageRunner {
 public:
  CommandRunner(sandbox::Sandboxes& sandboxes, BlockingPool& pool, const events::Redactor& redactor)
      : sandboxes_(sandboxes), pool_(pool), redactor_(redactor) {}

  Task<engine::Outcome> Run(StageRequest request, StageOutputSink* sink) override;

 private:
  sandbox::Sandboxes& sandboxes_;
  BlockingPool& pool_;
  const events::Redactor& redactor_;
};

}  // namespace fabro::stages
