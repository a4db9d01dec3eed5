// Runs the stages that need the world outside: what the engine asks for with ExecuteStage.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/async/task.h"
#include "core/base/ids.h"
#include "core/config/run_settings.h"
#include "core/engine/outcome.h"
#include "core/engine/preparation.h"
#include "core/workflow/graph.h"

namespace fabro::stages {

struct StageRequest {
  RunId run;
  std::string workflow_name;
  std::string goal;
  const workflow::Node* node = nullptr;
  std::string stage_id;  // "fix", "fix-2" ...
  std::uint32_t visit = 1;
  std::uint32_t attempt = 1;
  std::uint32_t stages_ended = 0;           // of the run, before this one
  std::string branch;                       // the parallel branch it belongs to; empty: the run's own course
  std::vector<std::string> outer_branches;  // that this branch is in, the innermost first
  std::string adopt_branch;                 // of a fan-in: the branch whose files go on; empty: none
  std::string restore_sha;  // of the first after a rewind: the commit whose files it begins with; else empty
  workflow::Fidelity fidelity = workflow::Fidelity::kCompact;  // of a model stage: how much it is told
  std::string thread_id;                                       // ... and in which conversation; empty: none
  std::string preamble;  // of a model stage: what it is told of the run so far
  std::string text;      // script or prompt
  std::chrono::milliseconds timeout{std::chrono::minutes(10)};
  std::string work_dir;                                 // of the run's own course
  engine::Prepared prepared;                            // what the run's preparation left
  std::string traceparent;                              // W3C Trace Context; empty: none
  std::shared_ptr<const config::RunSettings> settings;  // null: the defaults
  std::vector<std::pair<std::string, std::string>> environment;
};

// Where a stage's output goes while it runs; Write returns when the piece is durable, which slows the stage
// to what the disk can take.
class StageOutputSink {
 public:
  virtual ~StageOutputSink() = default;
  virtual Task<void> Write(bool is_stderr, std::string text) = 0;
};

class StageRunner {
 public:
  virtual ~StageRunner() = default;
  // Never fails: what goes wrong is an outcome. Cancelling the caller stops the stage; this returns when
  // nothing of it is left.
  virtual Task<engine::Outcome> Run(StageRequest request, StageOutputSink* sink) = 0;
};

}  // namespace fabro::stages
