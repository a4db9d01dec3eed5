// Makes a run's events, folds each into the state at once and appends its record to the output. Included by
// the engine's own .cc files only.
#pragma once

#include "core/engine/routing.h"
#include "core/engine/run_core.h"

namespace fabro::v1 {
class Event;
class WorkflowRunStarted;
}  // namespace fabro::v1
namespace fabro::internal::v1 {
class StateDelta;
}

namespace fabro::engine {

class Emitter {
 public:
  // `core` and `output` outlive it.
  Emitter(RunCore& core, Timestamp now, Output& output) : core_(core), now_(now), output_(output) {}

  // The course that the events are about; the run's own at first.
  void At(FrameNumber number) { at_ = number; }

  // The next event, without its payload. Emit it before making another.
  v1::Event MakeEvent() const;
  void Emit(const v1::Event& event);
  void Emit(const v1::Event& event, internal::v1::StateDelta delta);

  void RunStarted(bool preparing);
  void ForkStarted(const ForkOrigin& origin);
  void StageStarted(std::uint32_t attempt, std::uint32_t max_attempts, internal::v1::StateDelta delta);
  void StageCompleted(const Outcome& outcome, std::uint32_t max_attempts, internal::v1::StateDelta delta);
  void StageFailed(const Failure& failure, bool will_retry, std::uint32_t max_attempts);
  void StageFailed(const Failure& failure, bool will_retry, std::uint32_t max_attempts,
                   internal::v1::StateDelta delta);
  void StageRetrying(std::uint32_t attempt, std::uint32_t max_attempts, std::chrono::milliseconds delay);
  // Without an edge it is a jump.
  void EdgeSelected(const workflow::Node& from, const workflow::Node& to, const workflow::Edge* edge,
                    EdgeReason reason, const Outcome& outcome);
  void GitCommit(const workflow::Node& node, const std::string& sha);
  void CheckpointCompleted(const workflow::Node& node, const Outcome& outcome);
  void Warning(std::string_view code, std::string_view message);

  std::uint64_t RunDurationMs() const;  // 0 before the start

 private:
  // The four fields that every event of the stage in hand begins with.
  template <typename Payload>
  void Describe(Payload& payload) const;
  void DescribeRun(v1::WorkflowRunStarted& started) const;
  std::uint64_t AttemptDurationMs() const;
  std::uint64_t Spend();  // the attempt's duration, which is counted in the output
  const std::string& FilesBefore() const;
  const Frame& frame() const { return core_.state.frames.find(at_)->second; }
  const workflow::Node& node() const { return core_.NodeOf(frame()); }

  RunCore& core_;
  const Timestamp now_;
  Output& output_;
  FrameNumber at_ = 0;
};

}  // namespace fabro::engine
