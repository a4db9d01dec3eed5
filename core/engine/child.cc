// Stages that wait for a run of their own.
#include "core/engine/child.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/strings.h"
#include "core/engine/decide.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

// A run's id like any other: the time, then chance.
RunId NewChildId(Timestamp now, Random& random) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  auto ms = static_cast<std::uint64_t>(now.unix_ms);
  for (std::size_t i = 6; i-- > 0; ms >>= 8) bytes[i] = static_cast<std::uint8_t>(ms);
  std::uint64_t chance = 0;
  for (std::size_t i = 6; i < bytes.size(); ++i, chance >>= 8) {
    if (i % 5 == 1) chance = random.Next() >> 11;  // at 6 and at 11: five bytes from each number
    bytes[i] = static_cast<std::uint8_t>(chance);
  }
  return RunId::FromBytes(bytes);
}

// The attempt has begun, or a crash left unknown whether its child was made.
void Decider::StartChildRun() {
  const std::string& work_dir =
      state_.prepared && !state_.prepared->work_dir.empty() ? state_.prepared->work_dir : core_.seed.work_dir;
  output_.effects.emplace_back(
      StartChild{.child = *RunId::Parse(cursor().child), .node = &node(), .work_dir = work_dir});
}

// Its end may have been told to nobody.
void Decider::LookAtChild() {
  const workflow::Node& node = this->node();
  const std::chrono::milliseconds interval = PollInterval(node);
  const Timestamp due = NextLook(core_, frame());
  if (!cursor().child_started || now_ < due) return;
  if ((now_ - cursor().attempt_at) / interval > node.manager_max_cycles) {
    Outcome outcome;
    outcome.status = OutcomeStatus::kFail;
    outcome.failure = Failure{.message = StrCat("the child run did not end within ", node.manager_max_cycles,
                                                " polls and was cancelled"),
                              .failure_class = FailureClass::kDeterministic};
    return LeaveChild(std::move(outcome), "cancelled", 0, true);
  }
  core_.next_look[at_] = now_ + interval;
  output_.effects.emplace_back(CheckChild{.child = *RunId::Parse(cursor().child), .node = &node});
}

bool Decider::AtFrameOf(const RunId& child) {
  const std::string id = child.ToString();
  const auto found = std::ranges::find_if(state_.frames, [&id](const auto& entry) {
    return entry.second.cursor.phase == Phase::kChild && entry.second.cursor.child == id;
  });
  if (found == state_.frames.end()) return false;
  At(found->first);
  return true;
}

void Decider::On(const ChildStarted& started) {
  if (AtFrameOf(started.child)) BeginChild(started.start_node);
}

void Decider::BeginChild(const std::string& start_node) {
  if (cursor().child_started) return;
  v1::Event event = emit_.MakeEvent();
  event.mutable_subgraph_started()->set_node_id(node().id);
  event.mutable_subgraph_started()->set_start_node(start_node);
  emit_.Emit(event);
}

void Decider::EndChild(OutcomeStatus status, std::uint32_t stages, bool abandoned) {
  v1::Event event = emit_.MakeEvent();
  v1::SubgraphCompleted& completed = *event.mutable_subgraph_completed();
  completed.set_node_id(node().id);
  completed.set_steps_executed(stages);
  completed.set_status(ToProto(status));
  completed.set_duration_ms(static_cast<std::uint64_t>((now_ - cursor().attempt_at).count()));
  internal::v1::StateDelta delta;
  delta.set_abandons_child(abandoned);
  emit_.Emit(event, std::move(delta));
  core_.next_look.erase(at_);
}

void Decider::On(const ChildRefused& refused) {
  if (!AtFrameOf(refused.child)) return;
  BeginChild("");
  Outcome outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = refused.failure;
  outcome.failure->message = ToValidUtf8(refused.failure.message);
  LeaveChild(std::move(outcome), "refused", 0, false);
}

void Decider::On(const ChildFinished& finished) {
  if (!AtFrameOf(finished.child)) return;
  BeginChild(finished.start_node);  // a short one has ended before it is known to be there
  Outcome outcome;
  outcome.status = finished.status == RunStatus::kCompleted ? finished.outcome : OutcomeStatus::kFail;
  if (finished.status == RunStatus::kFailed) {
    outcome.failure = Failure{.message = StrCat("the child run ", cursor().child,
                                                " failed: ", TruncateUtf8(finished.error, kMaxKeptMessage)),
                              .failure_class = FailureClass::kDeterministic};
  } else if (finished.status == RunStatus::kCancelled) {
    outcome.failure =
        Failure{.message = "the child run was cancelled", .failure_class = FailureClass::kDeterministic};
  }
  LeaveChild(std::move(outcome), ToString(finished.status), finished.stages, false);
}

void Decider::On(const ChildObserved& observed) {
  if (!observed.stop || !IsRunning() || !AtFrameOf(observed.child)) return;
  Outcome outcome;
  outcome.notes = "The stop condition held; the child run was stopped.";
  LeaveChild(std::move(outcome), "stopped", 0, true);
}

void Decider::LeaveChild(Outcome outcome, std::string_view run_status, std::uint32_t stages, bool abandoned) {
  const RunId child = *RunId::Parse(cursor().child);
  outcome.context_updates = {{"stack.child.run_id", JsonString(cursor().child)},
                             {"stack.child.status", JsonString(run_status)},
                             {"stack.child.outcome", JsonString(ToString(outcome.status))}};
  EndChild(outcome.status, stages, abandoned);
  if (abandoned) output_.effects.emplace_back(CancelChild{child});
  EndAttempt(std::move(outcome));
}

}  // namespace fabro::engine
