// What happened in a stage, told as turns of a conversation.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/events/redactor.h"
#include "core/runtime/work.h"
#include "core/storage/store.h"

namespace fabro::v1 {
class StageTurn;
}

namespace fabro::rpc {

// What a turn shows of a stage's output: its beginning and its end.
inline constexpr std::size_t kMaxTurnOutput = std::size_t{256} << 10;

// Read from the run's log. Of a command each attempt is a tool's use (`shell` or `python`), of a gate the
// question with its answer (`human`), of a model stage its prompt and what came back; other stages have no
// turns. NotFound: the run has no such stage.
Task<absl::StatusOr<std::vector<v1::StageTurn>>> StageTurnsOf(storage::Store& store,
                                                              const events::Redactor& redactor,
                                                              runtime::LoadedRun run, std::string stage_id);

}  // namespace fabro::rpc
