// An event of a run as the command line needs it: the fields of the types that it shows, others empty.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/time.h"

namespace fabro::cli {

struct RunEvent {
  std::uint64_t id = 0;
  Timestamp ts;
  std::string type;  // "StageStarted"

  std::string node;     // node_id; `stage` of interviews
  std::string name;     // the stage's or the run's name
  std::string handler;  // handler_type
  std::string status;
  std::string text;  // output, question, message, error, goal, failure.message: what the event says
  std::string code;  // of a notice; its level is in status
  std::string by;
  std::string answer;
  std::string question_id;
  std::string from;
  std::string to;
  std::string reason;  // why an edge was taken
  std::string label;   // of the edge; the condition when that decided
  std::string stream;  // "stdout", "stderr"
  std::chrono::milliseconds duration{0};
  std::chrono::milliseconds delay{0};
  int attempt = 0;
  int max_attempts = 0;
  bool will_retry = false;

  bool ends_run() const {
    return type == "WorkflowRunCompleted" || type == "WorkflowRunFailed" || type == "WorkflowRunCancelled";
  }
};

// InvalidArgument when the text is no event: no object, no id, no type. Fields of an unexpected kind count as
// absent.
absl::StatusOr<RunEvent> ParseEvent(std::string_view json);

}  // namespace fabro::cli
