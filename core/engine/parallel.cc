// A run's parallel branches: they begin as many as may work side by side, each walks until it meets what
// comes after all of them, and then the run's course goes on there.
#include <algorithm>
#include <vector>

#include "core/base/strings.h"
#include "core/engine/branches.h"
#include "core/engine/decide.h"
#include "core/engine/words.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {

using workflow::JoinPolicy;
using workflow::Node;
using workflow::NodeIndex;

namespace {

bool IsSuccess(OutcomeStatus status) {
  return status == OutcomeStatus::kSuccess || status == OutcomeStatus::kPartialSuccess;
}

}  // namespace

void Decider::StartBranches() {
  const Node& node = this->node();
  const std::size_t count = node.out.size();
  if (state_.frames.size() - 1 + count > kMaxBranches) {
    return FailRun(StrCat("node \"", node.id, "\": ", count, " more branches, beside ",
                          state_.frames.size() - 1, ", are over the limit of ", kMaxBranches));
  }
  StartAttempt();
  v1::Event event = emit_.MakeEvent();
  event.mutable_parallel_started()->set_branch_count(static_cast<std::uint32_t>(count));
  event.mutable_parallel_started()->set_join_policy(ToProto(node.join_policy));
  emit_.Emit(event);
  BeginBranches();
}

void Decider::BeginBranches() {
  const FrameNumber parent = at_;
  const Node& node = this->node();
  const auto count = static_cast<std::uint32_t>(node.out.size());
  const auto at_once = static_cast<std::uint32_t>(std::max(1, node.max_parallel));
  while (IsRunning() && frame().fork.begun < count && frame().fork.begun - frame().fork.ended < at_once) {
    const std::uint32_t index = frame().fork.begun;
    const NodeIndex start = graph_.edges[node.out[index]].to;
    v1::Event event = emit_.MakeEvent();
    event.mutable_parallel_branch_started()->set_branch(graph_.nodes[start].id);
    event.mutable_parallel_branch_started()->set_index(index);
    emit_.Emit(event);
    At(frame().fork.first + index);
    if (IsWayOut(start)) return EndBranch(OutcomeStatus::kSuccess);  // which comes back here
    GoOn();
    if (IsOver()) return;
    At(parent);
  }
  if (frame().fork.ended == count) CompleteParallel();
}

void Decider::EndBranch(OutcomeStatus status) {
  TellBranchEnded(status);
  const bool done = node().join_policy == JoinPolicy::kFirstSuccess && IsSuccess(status);
  if (!done) return BeginBranches();
  CutBranchesShort();
  CompleteParallel();
}

// The event belongs to the course that the branch comes from, which is current afterwards.
void Decider::TellBranchEnded(OutcomeStatus status) {
  const Frame& branch = frame();
  v1::Event event = emit_.MakeEvent();
  v1::ParallelBranchCompleted& completed = *event.mutable_parallel_branch_completed();
  completed.set_branch(graph_.nodes[branch.start].id);
  completed.set_index(branch.index);
  completed.set_duration_ms(static_cast<std::uint64_t>((now_ - branch.started_at).count()));
  completed.set_status(ToProto(status));
  At(branch.parent);
  emit_.Emit(event);
}

void Decider::CutBranchesShort() {
  const FrameNumber parent = at_;
  const Fork fork = frame().fork;
  for (FrameNumber number = fork.first; number < fork.first + fork.begun; ++number) {
    if (!state_.frames.at(number).ended) CutShort(number);
    At(parent);
  }
}

// What is in hand of the branch and of the branches in it ends, the inner ones first.
void Decider::CutShort(FrameNumber number) {
  std::vector<FrameNumber> within{number};  // numbers grow inwards
  for (auto at = state_.frames.upper_bound(number); at != state_.frames.end(); ++at) {
    if (std::ranges::binary_search(within, at->second.parent)) within.push_back(at->first);
  }
  const Failure failure{.message = "Another branch succeeded first.",
                        .failure_class = FailureClass::kCanceled};
  for (auto at = within.rbegin(); at != within.rend(); ++at) {
    At(*at);
    DropStage(failure);
  }
  TellBranchEnded(OutcomeStatus::kSkipped);
}

void Decider::CompleteParallel() {
  const Fork& fork = frame().fork;
  std::vector<const Frame*> branches;
  std::uint32_t succeeded = 0;
  std::uint32_t failed = 0;
  for (std::uint32_t i = 0; i < fork.begun; ++i) {
    const Frame& branch = *branches.emplace_back(&state_.frames.at(fork.first + i));
    failed += branch.ended == OutcomeStatus::kFail ? 1 : 0;
    succeeded += branch.ended && IsSuccess(*branch.ended) ? 1 : 0;
  }
  Outcome outcome = JoinedOutcome(graph_, node(), branches);
  v1::Event event = emit_.MakeEvent();
  event.mutable_parallel_completed()->set_duration_ms(
      static_cast<std::uint64_t>((now_ - cursor().attempt_at).count()));
  event.mutable_parallel_completed()->set_success_count(succeeded);
  event.mutable_parallel_completed()->set_failure_count(failed);
  emit_.Emit(event);
  EndAttempt(std::move(outcome));
}

// Also where a course before it will go on: a branch never runs another's way.
bool Decider::IsWayOut(NodeIndex next) {
  if (next == graph_.exit) return true;
  for (const Frame* at = &frame(); at->number != 0;) {
    at = &state_.frames.at(at->parent);
    if (next == core_.NodeOf(*at).join) return true;
  }
  return false;
}

}  // namespace fabro::engine
