// One stage's records in the log of its run.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/engine/machine.h"

namespace fabro::engine {

// Events name the node, which may be visited often and at once in several branches; which visit a record
// belongs to comes out of folding the log from its beginning.
class StageFinder {
 public:
  StageFinder(std::shared_ptr<const workflow::Graph> graph, std::string stage_id);
  ~StageFinder();

  // Takes the log's next record: whether it is one of the stage's. DataLoss when the log does not fit
  // together.
  absl::StatusOr<bool> Take(const RecordView& record);

  // No later record is one of the stage's.
  bool is_over() const { return over_; }

 private:
  struct State;

  const std::shared_ptr<const workflow::Graph> graph_;
  const std::string stage_id_;
  std::unique_ptr<State> state_;
  bool over_ = false;
};

}  // namespace fabro::engine
