#include "core/engine/snapshot.h"

#include <vector>

#include "fabro/internal/v1/state.pb.h"

namespace fabro::engine {
namespace {

using internal::v1::Snapshot;
using workflow::NodeIndex;

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
  out.set_child(cursor.child);
  out.set_child_started(cursor.child_started);
  if (cursor.edge) out.set_edge(*cursor.edge + 1);
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
  out.set_restore_sha(frame.restore_sha);
  out.set_files_sha(frame.files_sha);
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
  out.set_stages(node.stages);
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
    out.add_frame(row.frame);
    out.add_taken_back(row.taken_back);
  }
}

// What is of the run and not of its courses.
void EncodeAround(const RunState& state, Snapshot& out) {
  out.set_preparing(state.preparing);
  if (state.prepared) {
    out.mutable_prepared()->set_work_dir(state.prepared->work_dir);
    out.mutable_prepared()->set_repository(state.prepared->repository);
    out.mutable_prepared()->set_base_sha(state.prepared->base_sha);
  }
  for (const std::string& child : state.abandoned) out.add_abandoned(child);
  out.set_traceparent(state.traceparent);
  out.set_artifact_count(state.artifact_count);
  out.set_friction_points(state.hindsight.friction_points);
  out.set_retries(state.hindsight.retries);
  for (const std::string& file : state.hindsight.files_touched) out.add_files_touched(file);
  if (state.usage.stages == 0) return;
  Snapshot::Usage& usage = *out.mutable_usage();
  usage.set_stages(state.usage.stages);
  usage.set_input_tokens(state.usage.sum.input_tokens);
  usage.set_output_tokens(state.usage.sum.output_tokens);
  usage.set_cache_read_tokens(state.usage.sum.cache_read_tokens);
  usage.set_cache_write_tokens(state.usage.sum.cache_write_tokens);
  usage.set_reasoning_tokens(state.usage.sum.reasoning_tokens);
  if (state.usage.sum.cost) usage.set_cost(*state.usage.sum.cost);
}

}  // namespace

std::string EncodeSnapshot(const RunId& run, const workflow::Graph& graph, const RunState& state) {
  Snapshot out;
  NodeTable table(graph, out);
  out.set_version(kSnapshotVersion);
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
    if (visited.stages > 0) EncodeNode(visited, table.PlaceOf(node.index), *out.add_nodes());
  }
  EncodeStages(state.stages, table, *out.mutable_stages());
  if (state.checkpoint) {
    out.set_checkpoint_at(state.checkpoint->at.unix_ms);
    out.set_checkpoint_node(table.PlaceOf(state.checkpoint->node));
    out.set_checkpoint_sha(state.checkpoint->git_commit_sha);
    if (state.checkpoint->next) out.set_checkpoint_next(table.PlaceOf(*state.checkpoint->next));
  }
  out.set_questions_asked(state.questions_asked);
  EncodeAround(state, out);
  return out.SerializeAsString();
}

}  // namespace fabro::engine
