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

// Below this a snapshot saves a restore nothing worth a write.
constexpr std::size_t kMinTailBytes = 32 * 1024;

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

absl::StatusOr<Machine> Machine::Restore(RunSeed seed, std::string_view snapshot,
                                         std::span<const RecordView> tail) {
  RunState state(seed.graph->nodes.size());
  if (!snapshot.empty()) {
    FABRO_ASSIGN_OR_RETURN(state, DecodeSnapshot(seed.id, *seed.graph, snapshot));
  }
  std::size_t tail_bytes = 0;
  v1::Event event;
  internal::v1::StateDelta delta;
  for (const RecordView& record : tail) {
    FABRO_RETURN_IF_ERROR(Parse(record.event, state.head, event));
    FABRO_RETURN_IF_ERROR(Parse(record.delta, state.head, delta));
    FABRO_RETURN_IF_ERROR(Fold(*seed.graph, event, delta, state));
    tail_bytes += record.event.size() + record.delta.size();
  }
  auto impl = std::make_unique<Impl>(std::move(seed), std::move(state));
  impl->core.just_restored = true;
  impl->core.tail_bytes = tail_bytes;
  impl->core.snapshot_bytes = snapshot.size();
  return Machine(std::move(impl));
}

Output Machine::Handle(const Input& input, Timestamp now, Random& random) {
  impl_->core.just_restored = false;
  Output output;
  Decider decider(impl_->core, now, random, output);
  std::visit([&decider](const auto& what) { decider.On(what); }, input);
  return output;
}

RunStatus Machine::status() const { return impl_->core.state.status; }

EventSeq Machine::head() const { return EventSeq(impl_->core.state.head); }

Activity Machine::activity() const {
  const RunCore& core = impl_->core;
  const Cursor& cursor = core.state.cursor;
  if (IsTerminal(core.state.status)) return Activity::kEnded;
  if (core.state.status == RunStatus::kQueued) return Activity::kQueued;
  if (core.state.status == RunStatus::kPaused) return Activity::kParked;
  switch (cursor.phase) {
    case Phase::kTimer:
    case Phase::kAsking:
      return Activity::kParked;
    case Phase::kRetryWait:
      if (core.slot_requested || core.has_slot || core.just_restored) return Activity::kActive;
      return cursor.retry_delay > kMaxDelayInSlot ? Activity::kParked : Activity::kActive;
    default:
      return Activity::kActive;
  }
}

std::optional<Timestamp> Machine::wake_at() const {
  const RunCore& core = impl_->core;
  if (core.state.status != RunStatus::kRunning) return std::nullopt;
  // Its time has come already, and what is missing is a slot.
  if (core.state.cursor.phase == Phase::kRetryWait && core.slot_requested) return std::nullopt;
  return core.state.cursor.wake_at;
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
  return core.state.cursor.phase == Phase::kBefore ? std::string_view() : core.node().id;
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
  return core.state.cursor.phase == Phase::kAsking ? core.node().label : std::string_view();
}

std::chrono::milliseconds Machine::stall_timeout() const { return impl_->core.graph().stall_timeout; }

std::optional<ExecutionId> Machine::executing() const {
  const RunCore& core = impl_->core;
  return core.executing ? std::optional(ExecutionId(core.state.cursor.execution)) : std::nullopt;
}

std::vector<QuestionView> Machine::OpenQuestions() const { return QuestionsOf(impl_->core); }
std::vector<StageView> Machine::Stages() const { return StagesOf(impl_->core); }

std::string Machine::ContextJson() const { return ContextView(impl_->core.seed, impl_->core.state).Json(); }

std::optional<CheckpointView> Machine::Checkpoint() const { return CheckpointOf(impl_->core); }

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

bool IsSupported(NodeKind kind) {
  return kind != NodeKind::kParallel && kind != NodeKind::kFanIn && kind != NodeKind::kManagerLoop;
}

std::vector<workflow::Diagnostic> UnsupportedNodes(const workflow::Graph& graph) {
  std::vector<workflow::Diagnostic> diagnostics;
  for (const workflow::Node& node : graph.nodes) {
    if (IsSupported(node.kind)) continue;
    workflow::Diagnostic& diagnostic = diagnostics.emplace_back();
    diagnostic.rule = "kind_supported";
    diagnostic.message = StrCat("Node '", node.id, "' is of the kind ", workflow::ToString(node.kind),
                                ", which this server does not run yet");
    diagnostic.node_id = node.id;
    if (node.position.line > 0) {
      diagnostic.line = node.position.line;
      diagnostic.column = node.position.column;
    }
  }
  return diagnostics;
}

}  // namespace fabro::engine
