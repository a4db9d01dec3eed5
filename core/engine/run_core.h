// What a Machine is made of. Included by the engine's own .cc files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/machine.h"
#include "core/engine/run_state.h"

namespace fabro::engine {

struct RunCore {
  RunCore(RunSeed run_seed, RunState run_state)
      : seed(std::move(run_seed)), id_text(seed.id.ToString()), state(std::move(run_state)) {}

  const workflow::Graph& graph() const { return *seed.graph; }
  const workflow::Node& NodeOf(const Frame& frame) const { return graph().nodes[frame.cursor.node]; }
  // Whether the attempt in hand runs here and will give StageFinished.
  bool IsExecuting(const Frame& frame) const { return executing.contains(frame.cursor.execution); }

  RunSeed seed;
  std::string id_text;
  RunState state;

  // What is true of this process only, and so in no snapshot.
  bool has_slot = false;
  bool slot_requested = false;                     // ... and Resume will come
  std::map<std::uint64_t, FrameNumber> executing;  // executions that run here, and whose they are
  bool preparing = false;                          // the preparation runs here and will give RunPrepared
  std::map<FrameNumber, Timestamp> next_look;      // at a child run; not there: the first one
  bool just_restored = false;                      // no input yet: whether a time has passed is not known
  std::size_t tail_bytes = 0;                      // records since the last snapshot
  std::size_t snapshot_bytes = 0;
};

// How often a manager looks at its child, and when it does next.
std::chrono::milliseconds PollInterval(const workflow::Node& manager);
Timestamp NextLook(const RunCore& core, const Frame& frame);

// Some course has something to do, or will have before its slot is worth giving back. Of a running run.
bool HasWork(const RunCore& core);

std::vector<QuestionView> QuestionsOf(const RunCore& core);
std::vector<StageView> StagesOf(const RunCore& core);
std::optional<CheckpointView> CheckpointOf(const RunCore& core);
HindsightView HindsightOf(const RunState& state);

}  // namespace fabro::engine
