// A state back from its bytes, with a check of everything that the decisions take for granted.
#include <algorithm>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/snapshot.h"
#include "fabro/internal/v1/state.pb.h"

namespace fabro::engine {
namespace {

using internal::v1::Snapshot;
using std::chrono::milliseconds;
using workflow::NodeIndex;

std::optional<Timestamp> TimeOrNothing(std::int64_t unix_ms) {
  return unix_ms == 0 ? std::nullopt : std::optional(Timestamp{unix_ms});
}

absl::Status Broken(std::string_view what) {
  return Error(absl::StatusCode::kDataLoss, Reason::kInternal, "", StrCat("the run's snapshot: ", what));
}

class Decoder {
 public:
  Decoder(const workflow::Graph& graph, const Snapshot& in)
      : graph_(graph), in_(in), state_(graph.nodes.size()) {}

  absl::StatusOr<RunState> Decode() {
    FABRO_RETURN_IF_ERROR(DecodeTable());
    state_.status = Enum(in_.status(), RunStatus::kCancelled);
    state_.head = in_.head();
    state_.last_event_at = {in_.last_event_at()};
    state_.started_at = TimeOrNothing(in_.started_at());
    state_.finished_at = TimeOrNothing(in_.finished_at());
    if (in_.outcome() > 0) state_.outcome = Enum(in_.outcome() - 1, OutcomeStatus::kSkipped);
    if (!in_.error().empty()) state_.error = in_.error();
    for (const Snapshot::Frame& frame : in_.frames()) DecodeFrame(frame);
    state_.next_frame = in_.next_frame();
    for (const auto& count : in_.loop_failures()) state_.loop_failures.emplace(count.key(), count.value());
    for (const auto& count : in_.restart_failures()) {
      state_.restart_failures.emplace(count.key(), count.value());
    }
    for (const Snapshot::NodeState& node : in_.nodes()) DecodeNode(node);
    DecodeStages(in_.stages());
    if (in_.checkpoint_node() > 0) {
      state_.checkpoint = {.at = {in_.checkpoint_at()},
                           .node = Node(in_.checkpoint_node()),
                           .next = {},
                           .git_commit_sha = in_.checkpoint_sha()};
      if (in_.checkpoint_next() > 0) state_.checkpoint->next = Node(in_.checkpoint_next());
    }
    state_.questions_asked = in_.questions_asked();
    DecodeAround();
    if (!valid_ || !IsConsistent()) return Broken("a value is out of its bounds");
    return std::move(state_);
  }

 private:
  // What the decisions take for granted.
  bool IsConsistent() const {
    const Phase phase = state_.own().cursor.phase;
    if ((phase == Phase::kBefore) != (state_.status == RunStatus::kQueued)) return false;
    if ((phase == Phase::kDone) != IsTerminal(state_.status)) return false;
    return std::ranges::all_of(state_.frames, [this](const auto& entry) {
      return IsConsistent(entry.second.cursor) && HasItsBranches(entry.second) &&
             (entry.first == 0 || IsBranch(entry.second));
    });
  }

  bool IsConsistent(const Cursor& cursor) const {
    const workflow::Node& node = graph_.nodes[cursor.node];
    if (HasStageInHand(cursor) &&
        (cursor.stage >= state_.stages.size() || state_.stages[cursor.stage].node != cursor.node)) {
      return false;
    }
    switch (cursor.phase) {
      case Phase::kRetryWait:
        return cursor.wake_at.has_value();
      case Phase::kTimer:
        return cursor.wake_at.has_value() && node.kind == workflow::NodeKind::kWait;
      case Phase::kAsking:
        return node.kind == workflow::NodeKind::kHuman && (!cursor.wake_at || node.timeout);
      case Phase::kParallel:
        return node.kind == workflow::NodeKind::kParallel;
      case Phase::kChild:
        return node.kind == workflow::NodeKind::kManagerLoop && RunId::Parse(cursor.child).has_value();
      default:
        return true;
    }
  }

  bool HasItsBranches(const Frame& frame) const {
    const Fork& fork = frame.fork;
    if (frame.cursor.phase != Phase::kParallel) return fork.begun == 0;
    if (fork.begun > graph_.nodes[frame.cursor.node].out.size() || fork.first <= frame.number) return false;
    std::uint32_t ended = 0;
    for (std::uint32_t i = 0; i < fork.begun; ++i) {
      const auto branch = state_.frames.find(fork.first + i);
      if (branch == state_.frames.end() || branch->second.parent != frame.number) return false;
      ended += branch->second.ended ? 1 : 0;
    }
    return ended == fork.ended;
  }

  bool IsBranch(const Frame& frame) const {
    const auto parent = state_.frames.find(frame.parent);
    if (frame.number >= state_.next_frame || frame.parent >= frame.number || parent == state_.frames.end()) {
      return false;
    }
    const Fork& fork = parent->second.fork;
    return frame.number >= fork.first && frame.number - fork.first < fork.begun &&
           frame.index == frame.number - fork.first && frame.cursor.phase != Phase::kBefore &&
           frame.ended.has_value() == (frame.cursor.phase == Phase::kDone);
  }

  absl::Status DecodeTable() {
    for (const std::string& id : in_.node_ids()) {
      const workflow::Node* node = graph_.FindNode(id);
      if (node == nullptr) return Broken(StrCat("unknown node ", id));
      table_.push_back(node->index);
    }
    return absl::OkStatus();
  }

  NodeIndex Node(std::uint32_t place) {
    if (place >= 1 && place <= table_.size()) return table_[place - 1];
    valid_ = false;
    return 0;
  }

  template <typename T>
  T Enum(std::uint32_t number, T last) {
    if (number > static_cast<std::uint32_t>(last)) valid_ = false;
    return number > static_cast<std::uint32_t>(last) ? last : static_cast<T>(number);
  }

  void DecodeAround() {
    state_.preparing = in_.preparing();
    if (in_.has_prepared()) {
      state_.prepared = Prepared{.work_dir = in_.prepared().work_dir(),
                                 .repository = in_.prepared().repository(),
                                 .base_sha = in_.prepared().base_sha(),
                                 .failure = std::nullopt};
    }
    state_.abandoned = {in_.abandoned().begin(), in_.abandoned().end()};
    state_.traceparent = in_.traceparent();
    state_.artifact_count = in_.artifact_count();
    state_.hindsight = {.friction_points = in_.friction_points(),
                        .retries = in_.retries(),
                        .files_touched = {in_.files_touched().begin(), in_.files_touched().end()}};
    if (!in_.has_usage()) return;
    const Snapshot::Usage& usage = in_.usage();
    state_.usage.stages = usage.stages();
    state_.usage.sum.input_tokens = usage.input_tokens();
    state_.usage.sum.output_tokens = usage.output_tokens();
    state_.usage.sum.cache_read_tokens = usage.cache_read_tokens();
    state_.usage.sum.cache_write_tokens = usage.cache_write_tokens();
    state_.usage.sum.reasoning_tokens = usage.reasoning_tokens();
    if (usage.has_cost()) state_.usage.sum.cost = usage.cost();
  }

  void DecodeFrame(const Snapshot::Frame& in) {
    Frame& frame = state_.frames[in.number()];
    frame.number = in.number();
    DecodeCursor(in.cursor(), frame.cursor);
    DecodeLast(in.last(), frame.last);
    for (const auto& entry : in.context()) frame.context.emplace(entry.key(), entry.value());
    frame.response_key = in.response_key();
    frame.fork = {.first = in.fork().first(), .begun = in.fork().begun(), .ended = in.fork().ended()};
    for (const Snapshot::BranchResult& result : in.results()) {
      frame.results.push_back({.branch = result.branch(),
                               .start = Node(result.start()),
                               .status = Enum(result.status(), OutcomeStatus::kSkipped),
                               .score = result.has_score() ? std::optional(result.score()) : std::nullopt});
    }
    frame.instant_steps = in.instant_steps();
    frame.restore_sha = in.restore_sha();
    frame.files_sha = in.files_sha();
    if (in.number() == 0) return;
    frame.parent = in.parent();
    frame.index = in.index();
    frame.name = in.name();
    frame.start = Node(in.start());
    frame.started_at = {in.started_at()};
    if (in.ended() > 0) frame.ended = Enum(in.ended() - 1, OutcomeStatus::kSkipped);
  }

  void DecodeCursor(const Snapshot::Cursor& in, Cursor& cursor) {
    cursor.phase = Enum(in.phase(), Phase::kChild);
    if (in.node() > 0) cursor.node = Node(in.node());
    cursor.attempt = in.attempt();
    cursor.interrupted = in.interrupted();
    cursor.retries = in.retries();
    cursor.attempt_at = {in.attempt_at()};
    cursor.asked_at = {in.asked_at()};
    cursor.wake_at = TimeOrNothing(in.wake_at());
    cursor.retry_delay = milliseconds(in.retry_delay());
    cursor.index = in.index();
    cursor.question = in.question();
    cursor.stage = in.stage();
    cursor.child = in.child();
    cursor.child_started = in.child_started();
    if (in.edge() > graph_.edges.size()) valid_ = false;
    if (in.edge() > 0 && valid_) cursor.edge = in.edge() - 1;
  }

  void DecodeLast(const Snapshot::LastStage& in, LastStage& last) {
    if (in.node() > 0) last.node = Node(in.node());
    last.status = Enum(in.status(), OutcomeStatus::kSkipped);
    last.preferred_label = in.preferred_label();
    last.notes = in.notes();
    last.failure_signature = in.failure_signature();
    if (!in.failed()) return;
    last.failure = Failure{.message = in.failure_message(),
                           .failure_class = Enum(in.failure_class(), FailureClass::kCompilationLoop)};
  }

  void DecodeNode(const Snapshot::NodeState& in) {
    NodeState& node = state_.nodes[Node(in.node())];
    node.visits = in.visits();
    node.stages = in.stages();
    node.retries = in.retries();
    if (!in.ended()) return;
    node.outcome = std::make_unique<NodeOutcome>();
    node.outcome->status = Enum(in.status(), OutcomeStatus::kSkipped);
    node.outcome->preferred_label = in.preferred_label();
    node.outcome->notes = in.notes();
    node.outcome->duration = milliseconds(in.duration());
    if (in.failure_class() == 0) return;
    node.outcome->failure =
        Failure{.message = in.failure_message(),
                .failure_class = Enum(in.failure_class() - 1, FailureClass::kCompilationLoop)};
  }

  void DecodeStages(const Snapshot::StageColumns& in) {
    const int size = in.node_size();
    if (in.visit_size() != size || in.state_size() != size || in.started_at_size() != size ||
        in.duration_size() != size || in.frame_size() != size || in.taken_back_size() != size) {
      valid_ = false;
      return;
    }
    state_.stages.reserve(static_cast<std::size_t>(size));
    for (int i = 0; i < size; ++i) {
      state_.stages.push_back({.node = Node(in.node(i)),
                               .visit = in.visit(i),
                               .state = Enum(in.state(i), StageState::kCancelled),
                               .started_at = {in.started_at(i)},
                               .duration = milliseconds(in.duration(i)),
                               .frame = in.frame(i),
                               .taken_back = in.taken_back(i)});
    }
    state_.stages_ended =
        static_cast<std::uint32_t>(std::ranges::count_if(state_.stages, [](const StageRow& row) {
          return row.state != StageState::kRunning && row.state != StageState::kPending;
        }));
  }

  const workflow::Graph& graph_;
  const Snapshot& in_;
  RunState state_;
  std::vector<NodeIndex> table_;
  bool valid_ = true;
};

}  // namespace

absl::StatusOr<RunState> DecodeSnapshot(const RunId& run, const workflow::Graph& graph,
                                        std::string_view bytes) {
  Snapshot in;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Broken("not readable");
  }
  if (in.version() != kSnapshotVersion) return Broken(StrCat("unknown version ", in.version()));
  if (in.run_id() != run.ToString()) return Broken(StrCat("belongs to the run ", in.run_id()));
  return Decoder(graph, in).Decode();
}

}  // namespace fabro::engine
