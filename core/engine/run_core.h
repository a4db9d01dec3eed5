// What a Machine is made of. Included by the engine's own .cc files only.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "core/engine/machine.h"
#include "core/engine/run_state.h"

namespace fabro::engine {

struct RunCore {
  RunCore(RunSeed run_seed, RunState run_state)
      : seed(std::move(run_seed)), id_text(seed.id.ToString()), state(std::move(run_state)) {}

  const workflow::Graph& graph() const { return *seed.graph; }
  const workflow::Node& node() const { return graph().nodes[state.cursor.node]; }

  RunSeed seed;
  std::string id_text;
  RunState state;

  // What is true of this process only, and so in no snapshot.
  bool has_slot = false;
  bool slot_requested = false;  // ... and Resume will come
  bool executing = false;       // the attempt in hand runs here and will give StageFinished
  bool just_restored = false;   // no input yet: whether a time has passed is not known
  std::size_t tail_bytes = 0;   // records since the last snapshot
  std::size_t snapshot_bytes = 0;
};

bool IsSupported(workflow::NodeKind kind);

std::vector<QuestionView> QuestionsOf(const RunCore& core);
std::vector<StageView> StagesOf(const RunCore& core);
std::optional<CheckpointView> CheckpointOf(const RunCore& core);

}  // namespace fabro::engine
