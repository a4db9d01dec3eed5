// One event's effect on the state: what fold.h promises, in parts. Included by the engine's own .cc files
// only.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/engine/run_state.h"

namespace fabro::v1 {
class CheckpointCompleted;
class EdgeSelected;
class Event;
class ParallelBranchCompleted;
class ParallelBranchStarted;
class StageCompleted;
class StageFailed;
class StageRetrying;
class StageStarted;
class SubgraphStarted;
class WorkflowRunCompleted;
class WorkflowRunFailed;
class WorkflowRunStarted;
}  // namespace fabro::v1
namespace fabro::internal::v1 {
class StateDelta;
}

namespace fabro::engine {

class Folder {
 public:
  Folder(const workflow::Graph& graph, const v1::Event& event, const internal::v1::StateDelta& delta,
         RunState& state);

  absl::Status Apply();

 private:
  absl::Status Dispatch();

  // The run (fold.cc).
  absl::Status Move(RunStatus to);
  absl::Status End(RunStatus status);
  absl::Status RunStarted(const v1::WorkflowRunStarted& started);
  absl::Status Noticed();
  absl::Status Rewound();
  // Goes on with the course, the counts and the outcomes of the state in the delta.
  absl::Status TakeUp(const std::string& run_id);
  absl::Status Completed(const v1::WorkflowRunCompleted& completed);
  absl::Status Failed(const v1::WorkflowRunFailed& failed);
  absl::Status Selected(const v1::EdgeSelected& selected);
  absl::Status Restarted();
  absl::Status Marked(const v1::CheckpointCompleted& completed);

  // The stage in hand (fold_stage.cc).
  absl::Status Started(const v1::StageStarted& started);
  absl::Status Asked();
  absl::Status Completed(const v1::StageCompleted& completed);
  absl::Status Failed(const v1::StageFailed& failed);
  absl::Status Retrying(const v1::StageRetrying& retrying);
  absl::Status ChildBegan(const v1::SubgraphStarted& started);
  absl::Status ChildEnded();
  absl::Status CheckInHand() const;
  void MergeContext();
  void EndStage(StageState how, NodeOutcome outcome);
  StageRow& row() { return state_.stages[cursor().stage]; }

  // Branches (fold_parallel.cc).
  absl::Status ForkStarted();
  absl::Status BranchStarted(const v1::ParallelBranchStarted& started);
  absl::Status BranchCompleted(const v1::ParallelBranchCompleted& completed);
  absl::Status ForkCompleted();

  absl::Status Misfit(std::string_view message) const;
  absl::Status Untimely() const { return Misfit("comes at the wrong time"); }
  // The node in hand must be the one the event is about.
  absl::Status CheckNode(const std::string& id) const;
  absl::StatusOr<workflow::NodeIndex> Find(const std::string& id) const;
  void Count(SignatureCounts& counts) const;

  Frame& frame() { return *frame_; }
  const Frame& frame() const { return *frame_; }
  Cursor& cursor() { return frame_->cursor; }
  const Cursor& cursor() const { return frame_->cursor; }
  const workflow::Node& node() const { return graph_.nodes[cursor().node]; }

  const workflow::Graph& graph_;
  const v1::Event& event_;
  const internal::v1::StateDelta& delta_;
  RunState& state_;
  Frame* frame_ = nullptr;  // that the event belongs to
  const Timestamp at_;
};

}  // namespace fabro::engine
