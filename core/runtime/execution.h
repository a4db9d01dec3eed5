// One attempt of a stage that runs here. Included by the run's actor only.
#pragma once

#include <atomic>
#include <chrono>

#include "core/async/task_scope.h"
#include "core/runtime/run_actor.h"
#include "core/stages/stage_runner.h"

namespace fabro::runtime {

struct RunActor::Execution {
  engine::ExecutionId id{};
  stages::StageRequest request;
  bool stopping = false;  // told to end
  std::atomic<std::chrono::steady_clock::time_point> last_sign;
  TaskHandle stage;
  TaskHandle watch;
};

}  // namespace fabro::runtime
