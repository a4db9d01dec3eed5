// Everything that may happen to a run. Values; made by the run's actor.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/engine/outcome.h"

namespace fabro::engine {

// Names one execution of a stage's attempt within its run, so that what arrives late is told apart from what
// is awaited: the id of the attempt's StageStarted event.
enum class ExecutionId : std::uint64_t {};

// A slot was granted to a queued run.
struct Start {};

// A slot was granted again, after parking (crashed = false) or because a server took the run over from its
// records (crashed = true). A stage that was in hand and is not executing here runs again, without using up a
// retry.
struct Resume {
  bool crashed = false;
};

// The answer to the effect ContinueStep.
struct Continue {};

// A piece of a running stage's output, redacted.
struct StageOutput {
  enum class Stream : std::uint8_t { kStdout, kStderr };
  ExecutionId execution{};
  Stream stream = Stream::kStdout;
  std::string text;
};

// The answer to the effect ExecuteStage.
struct StageFinished {
  ExecutionId execution{};
  Outcome outcome;
};

// The clock reached wake_at(). Too early or late arrivals do nothing.
struct TimerDue {};

// Commands. `by` is the principal.
struct Cancel {
  std::string by;
};
struct Pause {
  std::string by;
};
struct Unpause {
  std::string by;
};
struct Answer {
  std::string question_id;
  // The first that is given counts, in this order.
  std::optional<std::string> selected_option_key;
  std::vector<std::string> selected_option_keys;
  std::optional<std::string> value;
  std::string by;
};

// The execution has shown no sign of life for stall_timeout().
struct Stalled {
  ExecutionId execution{};
  std::chrono::seconds idle{0};
};

using Input = std::variant<Start, Resume, Continue, StageOutput, StageFinished, TimerDue, Cancel, Pause,
                           Unpause, Answer, Stalled>;

}  // namespace fabro::engine
