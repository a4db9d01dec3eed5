// A run's context as conditions and clients see it: what the stages wrote, and the engine's own keys, which
// are rendered from the state when somebody looks and cost a step nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/engine/machine.h"
#include "core/engine/run_state.h"
#include "core/workflow/condition.h"

namespace fabro::engine {

// Keys that stages may not write: `outcome`, `internal.*`, `graph.*` ...
bool IsEngineKey(std::string_view key);

std::string_view GoalOf(const RunSeed& seed);

// Of one course. Reads the seed, the state and the frame in it, which outlive it.
class ContextView : public workflow::Lookup {
 public:
  ContextView(const RunSeed& seed, const RunState& state, const Frame& frame)
      : seed_(seed), state_(state), frame_(frame) {}

  std::optional<workflow::ContextValue> Find(std::string_view key) const override;
  std::string Json() const;  // one object, sorted by key
  // What the stages wrote, without the engine's keys, as compact JSON; an empty text: removed in a branch.
  std::map<std::string_view, std::string_view> Written() const;

 private:
  std::optional<std::string> FindEngineText(std::string_view key) const;
  std::string_view ThreadId() const;
  std::string_view Fidelity() const;
  const workflow::Node& current() const { return seed_.graph->nodes[frame_.cursor.node]; }

  const RunSeed& seed_;
  const RunState& state_;
  const Frame& frame_;
};

}  // namespace fabro::engine
