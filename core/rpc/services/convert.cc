#include "core/rpc/services/convert.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <charconv>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/views.h"
#include "core/engine/words.h"
#include "core/workflow/diagnostic.h"
#include "fabro/v1/internals.pb.h"
#include "fabro/v1/question.pb.h"
#include "fabro/v1/run.pb.h"

namespace fabro::rpc {
namespace {

v1::RunStatus Convert(RunStatus status) {
  switch (status) {
    case RunStatus::kQueued:
      return v1::RUN_STATUS_QUEUED;
    case RunStatus::kStarting:
      return v1::RUN_STATUS_STARTING;
    case RunStatus::kRunning:
      return v1::RUN_STATUS_RUNNING;
    case RunStatus::kPaused:
      return v1::RUN_STATUS_PAUSED;
    case RunStatus::kCompleted:
      return v1::RUN_STATUS_COMPLETED;
    case RunStatus::kFailed:
      return v1::RUN_STATUS_FAILED;
    case RunStatus::kCancelled:
      return v1::RUN_STATUS_CANCELLED;
  }
  return v1::RUN_STATUS_UNSPECIFIED;
}

v1::OutcomeStatus ConvertOutcome(std::string_view outcome) {
  if (outcome == "success") return v1::OUTCOME_STATUS_SUCCESS;
  if (outcome == "partial_success") return v1::OUTCOME_STATUS_PARTIAL_SUCCESS;
  return v1::OUTCOME_STATUS_FAIL;
}

v1::BoardColumn ColumnOf(const storage::RunRow& row) {
  if (IsTerminal(row.status)) return v1::BOARD_COLUMN_REVIEW;
  if (row.status == RunStatus::kPaused || row.open_questions > 0) return v1::BOARD_COLUMN_PENDING;
  return v1::BOARD_COLUMN_WORKING;
}

v1::StageStatus Convert(engine::StageState state) {
  switch (state) {
    case engine::StageState::kRunning:
      return v1::STAGE_STATUS_RUNNING;
    case engine::StageState::kPending:
      return v1::STAGE_STATUS_PENDING;
    case engine::StageState::kCompleted:
      return v1::STAGE_STATUS_COMPLETED;
    case engine::StageState::kFailed:
      return v1::STAGE_STATUS_FAILED;
    case engine::StageState::kCancelled:
      return v1::STAGE_STATUS_CANCELLED;
  }
  return v1::STAGE_STATUS_UNSPECIFIED;
}

// What both forms of a run have in common.
template <typename Out>
void PutCommon(const storage::RunRow& row, Out* out) {
  out->set_id(row.id.ToString());
  out->set_title(row.title);
  out->mutable_workflow()->set_slug(row.workflow_slug);
  Put(row.created_at, out->mutable_created_at());
  if (row.started_at) Put(*row.started_at, out->mutable_started_at());
  if (row.finished_at) Put(*row.finished_at, out->mutable_finished_at());
  if (row.error) out->mutable_error()->set_message(*row.error);
  if (row.queue_position) out->set_queue_position(static_cast<std::int32_t>(*row.queue_position));
  for (const auto& [name, value] : row.labels) (*out->mutable_labels())[name] = value;
  out->set_created_by(row.created_by);
  if (row.parent) out->set_parent_run_id(row.parent->ToString());
  if (row.forked_from) out->set_forked_from_run_id(row.forked_from->ToString());
  if (!row.outcome.empty()) out->set_outcome(ConvertOutcome(row.outcome));
  out->set_simulated(row.simulated);
}

template <typename Map>
void PutCounts(const std::map<std::string, std::int64_t>& counts, Map* out) {
  for (const auto& [name, count] : counts) (*out)[name] = static_cast<std::int32_t>(count);
}

}  // namespace

absl::Status RunNotFound(std::string_view id) {
  return NotFound(Reason::kRunNotFound, id, StrCat("Run ", id, " not found."));
}

absl::StatusOr<RunId> ParseRunId(std::string_view id) {
  const auto parsed = RunId::Parse(id);
  if (!parsed) return RunNotFound(id);
  return *parsed;
}

Task<absl::StatusOr<storage::RunRow>> FindRun(storage::Store& store, std::string id) {
  FABRO_CO_ASSIGN_OR_RETURN(const RunId run, ParseRunId(id));
  absl::StatusOr<storage::RunRow> row = co_await store.GetRun(run);
  if (absl::IsNotFound(row.status())) co_return RunNotFound(id);  // with the id as it was given
  co_return row;
}

void Put(Timestamp at, google::protobuf::Timestamp* out) {
  std::int64_t seconds = at.unix_ms / 1000;
  std::int64_t rest = at.unix_ms % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  out->set_seconds(seconds);
  out->set_nanos(static_cast<std::int32_t>(rest * 1'000'000));
}

void Put(const storage::RunRow& row, v1::RunStatusResponse* out) {
  PutCommon(row, out);
  out->set_status(Convert(row.status));
}

void Put(const storage::RunRow& row, Timestamp now, v1::RunListItem* out) {
  PutCommon(row, out);
  out->set_status(ColumnOf(row));
  out->set_run_status(Convert(row.status));
  std::string_view repository = "local";
  for (const auto& [name, value] : row.labels) {
    if (name == "repository") repository = value;
  }
  out->mutable_repository()->set_name(std::string(repository));
  if (row.started_at) {
    const auto elapsed = row.finished_at.value_or(now) - *row.started_at;
    out->mutable_timings()->set_elapsed_secs(std::max(0.0, static_cast<double>(elapsed.count()) / 1000));
  }
  if (row.open_questions > 0) out->mutable_question()->set_text(row.question_text);
}

void Put(const storage::RunPage& runs, const Page& page, Timestamp now, v1::PaginatedRunList* out) {
  for (const storage::RunRow& row : runs.rows) Put(row, now, out->add_data());
  const auto shown = page.offset + static_cast<std::int64_t>(runs.rows.size());
  out->mutable_meta()->set_has_more(shown < runs.total);
  out->set_total_count(static_cast<std::uint64_t>(runs.total));
}

void Put(const workflow::Diagnostic& diagnostic, v1::Diagnostic* out) {
  out->set_rule(diagnostic.rule);
  out->set_severity(diagnostic.severity == workflow::Severity::kError ? v1::DIAGNOSTIC_SEVERITY_ERROR
                                                                      : v1::DIAGNOSTIC_SEVERITY_WARNING);
  out->set_message(diagnostic.message);
  if (diagnostic.node_id) out->set_node_id(*diagnostic.node_id);
  if (diagnostic.edge) {
    out->mutable_edge()->set_from(diagnostic.edge->first);
    out->mutable_edge()->set_to(diagnostic.edge->second);
  }
  if (diagnostic.line) out->set_line(*diagnostic.line);
  if (diagnostic.column) out->set_column(*diagnostic.column);
}

void Put(const engine::QuestionView& question, v1::ApiQuestion* out) {
  out->set_id(question.id);
  out->set_text(question.text);
  out->set_question_type(engine::ToProto(question.type));
  for (const workflow::HumanOption& option : question.options) {
    auto* shown = out->add_options();
    shown->set_key(option.key);
    shown->set_label(option.label);
  }
  out->set_allow_freeform(question.allow_freeform);
  out->set_stage_id(question.stage_id);
  if (!question.context.empty()) out->set_context(question.context);
  Put(question.asked_at, out->mutable_asked_at());
  if (question.expires_at) Put(*question.expires_at, out->mutable_expires_at());
  if (!question.default_choice.empty()) out->set_default_choice(question.default_choice);
}

void Put(const engine::StageView& stage, v1::RunStage* out) {
  out->set_id(stage.id);
  out->set_name(stage.name);
  out->set_dot_id(stage.node_id);
  out->set_handler_type(std::string(workflow::ToString(stage.kind)));
  out->set_visits(static_cast<std::int32_t>(stage.visit));
  out->set_status(Convert(stage.state));
  Put(stage.started_at, out->mutable_started_at());
  if (stage.duration) {
    out->set_duration_secs(static_cast<double>(stage.duration->count()) / 1000);
    Put(stage.started_at + *stage.duration, out->mutable_finished_at());
  }
}

absl::Status PutJson(const std::string& json, google::protobuf::Struct* out) {
  if (google::protobuf::util::JsonStringToMessage(json, out).ok()) return absl::OkStatus();
  return absl::DataLossError("a stored value is no JSON object");
}

absl::Status Put(const engine::CheckpointView& checkpoint, v1::RunCheckpoint* out) {
  Put(checkpoint.timestamp, out->mutable_timestamp());
  out->set_current_node(checkpoint.current_node);
  for (const std::string& node : checkpoint.completed_nodes) out->add_completed_nodes(node);
  PutCounts(checkpoint.node_retries, out->mutable_node_retries());
  PutCounts(checkpoint.loop_failure_signatures, out->mutable_loop_failure_signatures());
  PutCounts(checkpoint.restart_failure_signatures, out->mutable_restart_failure_signatures());
  PutCounts(checkpoint.node_visits, out->mutable_node_visits());
  if (checkpoint.next_node_id) out->set_next_node_id(*checkpoint.next_node_id);
  if (checkpoint.git_commit_sha) out->set_git_commit_sha(*checkpoint.git_commit_sha);
  return PutJson(checkpoint.context_values, out->mutable_context_values());
}

}  // namespace fabro::rpc
