#include "core/engine/machine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/context_view.h"
#include "core/engine/decide.h"
#include "core/engine/fold.h"
#include "core/engine/retry_policy.h"
#include "core/engine/run_core.h"
#include "core/engine/snapshot.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

using workflow::NodeKind;

// A manager that looked at its child more often would do little else.
constexpr std::chrono::milliseconds kMinPollInterval = std::chrono::seconds(1);

// Below this a snapshot saves a restore nothing worth a write.
constexpr std::size_t kMinTailBytes = 32 * 1024;

bool IsBetweenAttempts(const std::pair<const FrameNumber, Frame>& entry) {
  return entry.second.cursor.phase == Phase::kRetryWait;
}

template <typename Message>
absl::Status Parse(std::string_view bytes, std::uint64_t after, Message& message) {
  if (bytes.size() <= std::numeric_limits<int>::max() &&
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kDataLoss, Reason::kInternal, "",
               StrCat("the run's log: the record after ", after, " is not readable"));
}

}  // namespace

struct Machine::Impl {
  explicit Impl(RunSeed seed, RunState state) : core(std::move(seed), std::move(state)) {}
  RunCore core;
};

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;
Machine::~Machine() = default;

Machine Machine::Create(RunSeed seed) {
  RunState state(seed.graph->nodes.size());
  return Machine(std::make_unique<Impl>(std::move(seed), std::move(state)));
}

Output Machine::StartFork(const ForkOrigin& origin, Timestamp now) {
  Output output;
  Emitter(impl_->core, now, output).ForkStarted(origin);
  return output;
}

absl::Status Machine::Follow(std::span<const RecordView> records) {
  RunCore& core = impl_->core;
  v1::Event event;
  internal::v1::StateDelta delta;
  for (const RecordView& record : records) {
    FABRO_RETURN_IF_ERROR(Parse(record.event, core.state.head, event));
    FABRO_RETURN_IF_ERROR(Parse(record.delta, core.state.head, delta));
    FABRO_RETURN_IF_ERROR(Fold(core.graph(), event, delta, core.state));
    core.tail_bytes += record.event.size() + record.delta.size();
  }
  return absl::OkStatus();
}

absl::StatusOr<Machine> Machine::Restore(RunSeed seed, std::string_view snapshot,
                                         std::span<const RecordView> tail) {
  RunState state(seed.graph->nodes.size());
  if (!snapshot.empty()) {
    FABRO_ASSIGN_OR_RETURN(state, DecodeSnapshot(seed.id, *seed.graph, snapshot));
  }
  auto impl = std::make_unique<Impl>(std::move(seed), std::move(state));
  impl->core.just_restored = true;
  impl->core.snapshot_bytes = snapshot.size();
  Machine machine(std::move(impl));
  FABRO_RETURN_IF_ERROR(machine.Follow(tail));
  return machine;
}

Output Machine::Handle(const Input& input, Timestamp now, Random& random) {
  impl_->core.just_restored = false;
  Output output;
  Decider decider(impl_->core, now, random, output);
  std::visit([&decider](const auto& what) { decider.On(what); }, input);
  decider.Settle();
  return output;
}

RunStatus Machine::status() const { return impl_->core.state.status; }

EventSeq Machine::head() const { return EventSeq(impl_->core.state.head); }

Activity Machine::activity() const {
  const RunCore& core = impl_->core;
  if (IsTerminal(core.state.status)) return Activity::kEnded;
  if (core.state.status == RunStatus::kQueued) return Activity::kQueued;
  if (core.state.status == RunStatus::kPaused) return Activity::kParked;
  const bool waits_for_slot = core.slot_requested || core.just_restored;
  const bool works =
      HasWork(core) || (waits_for_slot && std::ranges::any_of(core.state.frames, IsBetweenAttempts));
  return works ? Activity::kActive : Activity::kParked;
}

std::optional<Timestamp> Machine::wake_at() const {
  const RunCore& core = impl_->core;
  if (core.state.status != RunStatus::kRunning) return std::nullopt;
  std::optional<Timestamp> earliest;
  for (const auto& entry : core.state.frames) {
    // Its time may have come already, and what is missing is a slot.
    if (IsBetweenAttempts(entry) && core.slot_requested) continue;
    std::optional<Timestamp> at = entry.second.cursor.wake_at;
    if (entry.second.cursor.phase == Phase::kChild) at = NextLook(core, entry.second);
    if (at && (!earliest || *at < *earliest)) earliest = at;
  }
  return earliest;
}

std::optional<Timestamp> Machine::started_at() const { return impl_->core.state.started_at; }
std::optional<Timestamp> Machine::finished_at() const { return impl_->core.state.finished_at; }

std::string_view Machine::outcome() const {
  const std::optional<OutcomeStatus>& outcome = impl_->core.state.outcome;
  return outcome ? ToString(*outcome) : std::string_view();
}

std::optional<std::string> Machine::error() const { return impl_->core.state.error; }

std::string_view Machine::current_node() const {
  const RunCore& core = impl_->core;
  const Frame& own = core.state.own();
  return own.cursor.phase == Phase::kBefore ? std::string_view() : core.NodeOf(own).id;
}

const std::string& Machine::start_node() const {
  const workflow::Graph& graph = impl_->core.graph();
  return graph.nodes[graph.start].id;
}

std::uint32_t Machine::stage_count() const { return impl_->core.state.stages_ended; }

bool Machine::simulated() const {
  const RunSeed& seed = impl_->core.seed;
  return seed.simulate_models && std::ranges::any_of(seed.graph->nodes, [](const workflow::Node& node) {
           return node.kind == NodeKind::kAgent || node.kind == NodeKind::kPrompt;
         });
}

std::string_view Machine::question_text() const {
  const RunCore& core = impl_->core;
  const Frame* oldest = nullptr;
  for (const auto& [number, frame] : core.state.frames) {
    if (frame.cursor.phase != Phase::kAsking) continue;
    if (oldest == nullptr || frame.cursor.question < oldest->cursor.question) oldest = &frame;
  }
  return oldest == nullptr ? std::string_view() : core.NodeOf(*oldest).label;
}

std::chrono::milliseconds Machine::stall_timeout() const { return impl_->core.graph().stall_timeout; }

bool Machine::IsExecuting(ExecutionId execution) const {
  return impl_->core.executing.contains(static_cast<std::uint64_t>(execution));
}

std::vector<ExecutionView> Machine::Executions() const {
  const RunCore& core = impl_->core;
  std::vector<ExecutionView> executions;
  for (const auto& [execution, number] : core.executing) {
    const StageRow& row = core.state.stages[core.state.frames.at(number).cursor.stage];
    executions.push_back({.execution = ExecutionId(execution),
                          .stage_id = StageIdOf(core.graph(), row),
                          .node_id = core.graph().nodes[row.node].id});
  }
  return executions;
}

std::vector<QuestionView> Machine::OpenQuestions() const { return QuestionsOf(impl_->core); }
std::vector<StageView> Machine::Stages() const { return StagesOf(impl_->core); }

std::string Machine::ContextJson() const {
  const RunState& state = impl_->core.state;
  return ContextView(impl_->core.seed, state, state.own()).Json();
}

std::optional<CheckpointView> Machine::Checkpoint() const { return CheckpointOf(impl_->core); }

HindsightView Machine::Hindsight() const { return HindsightOf(impl_->core.state); }

std::string Machine::Snapshot() const {
  const RunCore& core = impl_->core;
  return EncodeSnapshot(core.seed.id, core.graph(), core.state);
}

std::optional<std::string> Machine::MaybeSnapshot() {
  RunCore& core = impl_->core;
  if (core.tail_bytes < std::max(kMinTailBytes, core.snapshot_bytes)) return std::nullopt;
  std::string bytes = Snapshot();
  core.tail_bytes = 0;
  core.snapshot_bytes = bytes.size();
  return bytes;
}

std::chrono::milliseconds PollInterval(const workflow::Node& manager) {
  return std::max(manager.manager_poll_interval, kMinPollInterval);
}

Timestamp NextLook(const RunCore& core, const Frame& frame) {
  const auto planned = core.next_look.find(frame.number);
  if (planned != core.next_look.end()) return planned->second;
  return frame.cursor.attempt_at + PollInterval(core.NodeOf(frame));
}

bool HasWork(const RunCore& core) {
  if (core.state.preparing) return true;
  return std::ranges::any_of(core.state.frames, [](const auto& entry) {
    const Cursor& cursor = entry.second.cursor;
    if (cursor.phase == Phase::kChild) return !cursor.child_started;
    if (cursor.phase == Phase::kRetryWait) return cursor.retry_delay <= kMaxDelayInSlot;
    return cursor.phase == Phase::kReady || cursor.phase == Phase::kExecuting ||
           cursor.phase == Phase::kFinishing;
  });
}

const std::optional<Prepared>& Machine::prepared() const { return impl_->core.state.prepared; }

const std::string& Machine::traceparent() const { return impl_->core.state.traceparent; }
const std::string& Machine::restore_sha() const { return impl_->core.state.own().restore_sha; }

bool Machine::IsExecutingPreparation() const { return impl_->core.preparing; }

std::vector<RunId> Machine::AbandonedChildren() const {
  std::vector<RunId> children;
  for (const std::string& child : impl_->core.state.abandoned) {
    if (const std::optional<RunId> id = RunId::Parse(child)) children.push_back(*id);
  }
  return children;
}

bool Machine::Holds(const workflow::Condition& condition) const {
  const RunState& state = impl_->core.state;
  return condition.Evaluate(ContextView(impl_->core.seed, state, state.own()));
}

}  // namespace fabro::engine
