// What the events of parallel branches mean to the state. They belong to the course that the parallel node
// stands in.
#include <algorithm>
#include <set>

#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/branches.h"
#include "core/engine/folder.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

using workflow::NodeKind;

absl::Status Folder::ForkStarted() {
  if (cursor().phase != Phase::kExecuting || node().kind != NodeKind::kParallel) return Untimely();
  frame().fork = {.first = state_.next_frame, .begun = 0, .ended = 0};
  state_.next_frame += static_cast<FrameNumber>(node().out.size());
  cursor().phase = Phase::kParallel;
  return absl::OkStatus();
}

absl::Status Folder::BranchStarted(const v1::ParallelBranchStarted& started) {
  Fork& fork = frame().fork;
  if (cursor().phase != Phase::kParallel || started.index() != fork.begun ||
      fork.begun >= node().out.size()) {
    return Untimely();
  }
  const workflow::NodeIndex start = graph_.edges[node().out[fork.begun]].to;
  if (graph_.nodes[start].id != started.branch()) return Misfit("begins another branch");
  Frame branch;
  branch.number = fork.first + fork.begun++;
  branch.parent = frame().number;
  branch.index = started.index();
  branch.name = BranchName(StageIdOf(graph_, state_.stages[cursor().stage]), branch.index);
  branch.start = start;
  branch.started_at = at_;
  branch.instant_steps = frame().instant_steps;
  branch.restore_sha = frame().restore_sha;
  branch.files_sha = frame().files_sha;
  branch.cursor.phase = Phase::kReady;
  branch.cursor.node = start;
  const workflow::EdgeIndex edge = node().out[branch.index];
  if (workflow::TellsTarget(graph_.edges[edge])) branch.cursor.edge = edge;
  const FrameNumber number = branch.number;
  state_.frames.insert_or_assign(number, std::move(branch));
  return absl::OkStatus();
}

absl::Status Folder::BranchCompleted(const v1::ParallelBranchCompleted& completed) {
  if (cursor().phase != Phase::kParallel || completed.index() >= frame().fork.begun) return Untimely();
  const auto branch = state_.frames.find(frame().fork.first + completed.index());
  if (branch == state_.frames.end() || branch->second.ended || HasStageInHand(branch->second.cursor)) {
    return Untimely();
  }
  branch->second.ended = FromProto(completed.status());
  branch->second.cursor.phase = Phase::kDone;
  branch->second.cursor.wake_at.reset();
  ++frame().fork.ended;
  // Branches of its own, if it was cut short among them. Their numbers are greater.
  std::set<FrameNumber> gone{branch->first};
  for (auto at = std::next(branch); at != state_.frames.end();) {
    const bool goes = gone.contains(at->second.parent);
    if (goes) gone.insert(at->first);
    at = goes ? state_.frames.erase(at) : std::next(at);
  }
  return absl::OkStatus();
}

absl::Status Folder::ForkCompleted() {
  const Fork fork = frame().fork;
  if (cursor().phase != Phase::kParallel || fork.ended != fork.begun) return Untimely();
  frame().results.clear();
  const auto first = state_.frames.lower_bound(fork.first);
  const auto end = state_.frames.lower_bound(fork.first + fork.begun);
  if (first != end) frame().instant_steps = first->second.instant_steps;
  for (auto at = first; at != end; ++at) {
    frame().results.push_back(ResultOf(at->second));
    frame().instant_steps = std::min(frame().instant_steps, at->second.instant_steps);
  }
  state_.frames.erase(first, end);
  frame().fork = {};
  cursor().phase = Phase::kExecuting;  // what ends the stage follows
  return absl::OkStatus();
}

}  // namespace fabro::engine
