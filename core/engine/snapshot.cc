#include "core/engine/snapshot.h"

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "fabro/internal/v1/state.pb.h"

namespace fabro::engine {
namespace {

using internal::v1::Snapshot;
using std::chrono::milliseconds;
using workflow::NodeIndex;

constexpr std::uint32_t kVersion = 2;

// Nodes are named by their place in a table of ids, from 1, so that 0 is none and the bytes do not depend on
// how a graph numbers its nodes.
class NodeTable {
 public:
  NodeTable(const workflow::Graph& graph, Snapshot& out)
      : graph_(graph), out_(out), places_(graph.nodes.size()) {}

  std::uint32_t PlaceOf(NodeIndex node) {
    if (places_[node] == 0) {
      out_.add_node_ids(graph_.nodes[node].id);
      places_[node] = static_cast<std::uint32_t>(out_.node_ids_size());
    }
    return places_[node];
  }

 private:
  const workflow::Graph& graph_;
  Snapshot& out_;
  std::vector<std::uint32_t> places_;
};

std::int64_t MsOrZero(const std::optional<Timestamp>& at) { return at ? at->unix_ms : 0; }
std::optional<Timestamp> TimeOrNothing(std::int64_t unix_ms) {
  return unix_ms == 0 ? std::nullopt : std::optional(Timestamp{unix_ms});
}

// Enums are stored as their value; where there may be none, one higher.
template <typename Enum>
std::uint32_t Number(Enum value) {
  return static_cast<std::uint32_t>(value);
}

void EncodeCursor(const Cursor& cursor, NodeTable& table, Snapshot::Cursor& out) {
  out.set_phase(Number(cursor.phase));
  if (cursor.phase != Phase::kBefore) out.set_node(table.PlaceOf(cursor.node));
  out.set_attempt(cursor.attempt);
  out.set_interrupted(cursor.interrupted);
  out.set_retries(cursor.retries);
  out.set_attempt_at(cursor.attempt_at.unix_ms);
  out.set_asked_at(cursor.asked_at.unix_ms);
  out.set_wake_at(MsOrZero(cursor.wake_at));
  out.set_retry_delay(cursor.retry_delay.count());
  out.set_index(cursor.index);
  out.set_question(cursor.question);
  out.set_stage(cursor.stage);
}

void EncodeLast(const LastStage& last, NodeTable& table, Snapshot::LastStage& out) {
  if (last.node) out.set_node(table.PlaceOf(*last.node));
  out.set_status(Number(last.status));
  out.set_preferred_label(last.preferred_label);
  out.set_notes(last.notes);
  out.set_failure_signature(last.failure_signature);
  if (!last.failure) return;
  out.set_failed(true);
  out.set_failure_class(Number(last.failure->failure_class));
  out.set_failure_message(last.failure->message);
}

void EncodeFrame(const Frame& frame, NodeTable& table, Snapshot::Frame& out) {
  out.set_number(frame.number);
  EncodeCursor(frame.cursor, table, *out.mutable_cursor());
  EncodeLast(frame.last, table, *out.mutable_last());
  for (const auto& [key, value] : frame.context) {
    internal::v1::ContextEntry& entry = *out.add_context();
    entry.set_key(key);
    entry.set_value(value);
  }
  out.set_response_key(frame.response_key);
  out.mutable_fork()->set_first(frame.fork.first);
  out.mutable_fork()->set_begun(frame.fork.begun);
  out.mutable_fork()->set_ended(frame.fork.ended);
  for (const BranchResult& result : frame.results) {
    Snapshot::BranchResult& entry = *out.add_results();
    entry.set_branch(result.branch);
    entry.set_start(table.PlaceOf(result.start));
    entry.set_status(Number(result.status));
    if (result.score) entry.set_score(*result.score);
  }
  out.set_instant_steps(frame.instant_steps);
  if (frame.number == 0) return;
  out.set_parent(frame.parent);
  out.set_index(frame.index);
  out.set_name(frame.name);
  out.set_start(table.PlaceOf(frame.start));
  out.set_started_at(frame.started_at.unix_ms);
  if (frame.ended) out.set_ended(Number(*frame.ended) + 1);
}

void EncodeNode(const NodeState& node, std::uint32_t place, Snapshot::NodeState& out) {
  out.set_node(place);
  out.set_visits(node.visits);
  out.set_retries(node.retries);
  if (node.outcome == nullptr) return;
  out.set_ended(true);
  out.set_status(Number(node.outcome->status));
  out.set_preferred_label(node.outcome->preferred_label);
  out.set_notes(node.outcome->notes);
  out.set_duration(node.outcome->duration.count());
  if (!node.outcome->failure) return;
  out.set_failure_class(Number(node.outcome->failure->failure_class) + 1);
  out.set_failure_message(node.outcome->failure->message);
}

void EncodeStages(const std::vector<StageRow>& rows, NodeTable& table, Snapshot::StageColumns& out) {
  for (const StageRow& row : rows) {
    out.add_node(table.PlaceOf(row.node));
    out.add_visit(row.visit);
    out.add_state(Number(row.state));
    out.add_started_at(row.started_at.unix_ms);
    out.add_duration(row.duration.count());
  }
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
      state_.checkpoint = {.at = {in_.checkpoint_at()}, .node = Node(in_.checkpoint_node()), .next = {}};
      if (in_.checkpoint_next() > 0) state_.checkpoint->next = Node(in_.checkpoint_next());
    }
    state_.questions_asked = in_.questions_asked();
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
    if (number > Number(last)) valid_ = false;
    return number > Number(last) ? last : static_cast<T>(number);
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
    if (in.number() == 0) return;
    frame.parent = in.parent();
    frame.index = in.index();
    frame.name = in.name();
    frame.start = Node(in.start());
    frame.started_at = {in.started_at()};
    if (in.ended() > 0) frame.ended = Enum(in.ended() - 1, OutcomeStatus::kSkipped);
  }

  void DecodeCursor(const Snapshot::Cursor& in, Cursor& cursor) {
    cursor.phase = Enum(in.phase(), Phase::kParallel);
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
        in.duration_size() != size) {
      valid_ = false;
      return;
    }
    state_.stages.reserve(static_cast<std::size_t>(size));
    for (int i = 0; i < size; ++i) {
      state_.stages.push_back({.node = Node(in.node(i)),
                               .visit = in.visit(i),
                               .state = Enum(in.state(i), StageState::kCancelled),
                               .started_at = {in.started_at(i)},
                               .duration = milliseconds(in.duration(i))});
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

std::string EncodeSnapshot(const RunId& run, const workflow::Graph& graph, const RunState& state) {
  Snapshot out;
  NodeTable table(graph, out);
  out.set_version(kVersion);
  out.set_run_id(run.ToString());
  out.set_head(state.head);
  out.set_status(Number(state.status));
  out.set_last_event_at(state.last_event_at.unix_ms);
  out.set_started_at(MsOrZero(state.started_at));
  out.set_finished_at(MsOrZero(state.finished_at));
  if (state.outcome) out.set_outcome(Number(*state.outcome) + 1);
  if (state.error) out.set_error(*state.error);
  for (const auto& [number, frame] : state.frames) EncodeFrame(frame, table, *out.add_frames());
  out.set_next_frame(state.next_frame);
  const auto encode_counts = [](const SignatureCounts& counts, auto& list) {
    for (const auto& [key, value] : counts) {
      Snapshot::Count& count = *list.Add();
      count.set_key(key);
      count.set_value(value);
    }
  };
  encode_counts(state.loop_failures, *out.mutable_loop_failures());
  encode_counts(state.restart_failures, *out.mutable_restart_failures());
  for (const workflow::Node& node : graph.nodes) {
    const NodeState& visited = state.nodes[node.index];
    if (visited.visits > 0) EncodeNode(visited, table.PlaceOf(node.index), *out.add_nodes());
  }
  EncodeStages(state.stages, table, *out.mutable_stages());
  if (state.checkpoint) {
    out.set_checkpoint_at(state.checkpoint->at.unix_ms);
    out.set_checkpoint_node(table.PlaceOf(state.checkpoint->node));
    if (state.checkpoint->next) out.set_checkpoint_next(table.PlaceOf(*state.checkpoint->next));
  }
  out.set_questions_asked(state.questions_asked);
  return out.SerializeAsString();
}

absl::StatusOr<RunState> DecodeSnapshot(const RunId& run, const workflow::Graph& graph,
                                        std::string_view bytes) {
  Snapshot in;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Broken("not readable");
  }
  if (in.version() != kVersion) return Broken(StrCat("unknown version ", in.version()));
  if (in.run_id() != run.ToString()) return Broken(StrCat("belongs to the run ", in.run_id()));
  return Decoder(graph, in).Decode();
}

}  // namespace fabro::engine
