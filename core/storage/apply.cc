#include "core/storage/apply.h"

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/storage/row_codec.h"
#include "core/storage/statements.h"

namespace fabro::storage {
namespace {

std::int64_t Number(EventSeq seq) { return static_cast<std::int64_t>(ToUint(seq)); }

absl::Status RunNotFound(const RunId& run) {
  return NotFound(Reason::kRunNotFound, run.ToString(), "Run " + run.ToString() + " not found.");
}

absl::Status StaleHead(const RunId& run, std::string_view message) {
  return Error(absl::StatusCode::kAborted, Reason::kStaleHead, run.ToString(), message);
}

// Applies one batch. A refusal by the first write leaves nothing behind; one by a later write does.
class Applier {
 public:
  Applier(SqlConnection& connection, Applied& applied) : connection_(connection), applied_(applied) {}

  absl::Status operator()(CreateRun& write) {
    RunRow& row = write.row;
    row.head = EventSeq(write.records.size());
    FABRO_ASSIGN_OR_RETURN(const std::int64_t created, Insert(row));
    if (created == 0) return Refuse(StaleHead(row.id, "the run exists already"));
    touched_ = true;
    FABRO_RETURN_IF_ERROR(InsertFacts(row, write.source));
    FABRO_RETURN_IF_ERROR(InsertRecords(row.id, EventSeq{}, write.records));
    applied_.counts.Add(row.workflow_slug, row.status, 1);
    applied_.result.head = row.head;
    return absl::OkStatus();
  }

  absl::Status operator()(AppendRecords& write) {
    RunRow& row = write.row;
    row.head = EventSeq(ToUint(write.expected_head) + write.records.size());
    FABRO_ASSIGN_OR_RETURN(std::int64_t updated, Update(sql::kUpdateRunHot, row, write.expected_head));
    touched_ = touched_ || updated != 0;
    if (updated == 0) FABRO_RETURN_IF_ERROR(UpdateIndexed(row, write.expected_head));
    FABRO_RETURN_IF_ERROR(InsertRecords(row.id, write.expected_head, write.records));
    if (write.snapshot) {
      FABRO_RETURN_IF_ERROR(
          connection_
              .Execute(sql::kPutSnapshot, {Blob{IdBytes(row.id)}, Number(row.head), Blob{*write.snapshot}})
              .status());
    }
    applied_.result.head = row.head;
    return absl::OkStatus();
  }

  absl::Status operator()(const DeleteRun& write) {
    std::vector<std::int64_t> keys;
    bool active = false;
    auto on_row = [&](const SqlRow& row) {
      keys.push_back(row.Int(0));
      applied_.deleted.push_back(IdAt(row, 1));
      const auto status = static_cast<RunStatus>(row.Int(2));
      active = active || !IsTerminal(status);
      applied_.counts.Add(row.Text(3), status, -1);
      return true;
    };
    FABRO_RETURN_IF_ERROR(connection_.Execute(sql::kFamily, {Blob{IdBytes(write.run)}}, on_row).status());
    if (keys.empty()) return Refuse(RunNotFound(write.run));
    if (active) {
      return Refuse(FailedPrecondition(Reason::kRunActive, write.run.ToString(),
                                       "The run or one of its child runs has not ended."));
    }
    touched_ = true;
    for (const std::int64_t key : keys) {
      for (const Statement* statement :
           {&sql::kDeleteEvents, &sql::kDeleteSnapshot, &sql::kDeleteRetro, &sql::kDeleteArtifacts,
            &sql::kDeleteArtifactRefs, &sql::kDeleteFacts, &sql::kDeleteRun}) {
        FABRO_RETURN_IF_ERROR(connection_.Execute(*statement, {key}).status());
      }
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const PutIdempotent& write) {
    FABRO_ASSIGN_OR_RETURN(
        const std::int64_t put,
        connection_.Execute(sql::kPutIdempotent,
                            {write.principal, write.key, Blob{write.request_hash}, Blob{write.response},
                             write.expires_at.unix_ms, write.now.unix_ms}));
    if (put == 0) {
      return Refuse(Error(absl::StatusCode::kAlreadyExists, Reason::kIdempotencyReuse, write.key,
                          "a request with this key has been answered before"));
    }
    touched_ = true;
    return connection_.Execute(sql::kForgetExpired, {write.now.unix_ms}).status();
  }

  absl::Status operator()(const AppendAudit& write) {
    touched_ = true;
    return connection_
        .Execute(sql::kInsertAudit, {write.at.unix_ms, write.principal, write.action, write.resource,
                                     write.outcome, write.request_id})
        .status();
  }

  absl::Status operator()(const AddUsage& write) {
    applied_.used.Add(write.used);
    return absl::OkStatus();
  }

  absl::Status operator()(const PutRetro& write) {
    touched_ = true;
    const RetroStats& stats = write.stats;
    std::string files;
    for (const std::string& file : stats.files_touched) AppendFrame(files, file);
    return connection_
        .Execute(sql::kPutRetro,
                 {Blob{IdBytes(write.run)}, stats.finished_at.unix_ms,
                  static_cast<std::int64_t>(stats.smoothness), std::int64_t{stats.duration.count()},
                  stats.cost_nanos ? SqlValue(*stats.cost_nanos) : SqlValue(), std::int64_t{stats.retries},
                  std::int64_t{stats.friction_points}, std::int64_t{stats.stages_completed},
                  std::int64_t{stats.stages_failed}, files.empty() ? SqlValue() : SqlValue(Blob{files})})
        .status();
  }

  absl::Status operator()(const PutArtifact& write) {
    touched_ = true;
    FABRO_RETURN_IF_ERROR(
        connection_
            .Execute(sql::kPutArtifact,
                     {write.ref.hash, static_cast<std::int64_t>(write.content.size()), Blob{write.content}})
            .status());
    return connection_
        .Execute(sql::kPutArtifactRef, {Blob{IdBytes(write.run)}, write.ref.hash, write.ref.key,
                                        write.ref.stage_id, write.ref.created_at.unix_ms})
        .status();
  }

  absl::Status operator()(const ShareArtifacts& write) {
    bool is_there = false;
    auto on_row = [&](const SqlRow&) {
      is_there = true;
      return false;
    };
    FABRO_RETURN_IF_ERROR(connection_.Execute(sql::kBefore, {Blob{IdBytes(write.from)}}, on_row).status());
    if (!is_there) return Refuse(RunNotFound(write.from));
    touched_ = true;
    return connection_.Execute(sql::kShareArtifacts, {Blob{IdBytes(write.from)}, Blob{IdBytes(write.to)}})
        .status();
  }

  // Whether the transaction must be rolled back after the error that ended the batch.
  bool clean() const { return refused_ && !touched_; }

 private:
  absl::Status Refuse(absl::Status status) {
    refused_ = true;
    return status;
  }

  absl::StatusOr<std::int64_t> Insert(const RunRow& row) {
    return connection_.Execute(
        sql::kInsertRun,
        {Blob{IdBytes(row.id)}, Number(row.head), row.updated_at.unix_ms, OptionalTime(row.started_at),
         OptionalTime(row.finished_at), row.outcome, OptionalText(row.error), std::int64_t{row.simulated},
         std::int64_t{row.stage_count}, std::int64_t{row.open_questions}, row.question_text, row.current_node,
         static_cast<std::int64_t>(row.status), OptionalQueueState(row.queue_state),
         -std::int64_t{row.priority}, row.queue_key, OptionalTime(row.wake_at), OptionalId(row.parent),
         row.workflow_slug});
  }

  absl::Status InsertFacts(const RunRow& row, const RunSource& source) {
    const std::string labels = EncodeLabels(row.labels);
    return connection_
        .Execute(sql::kInsertFacts,
                 {Blob{IdBytes(row.id)}, row.created_at.unix_ms, row.workflow_name, row.title, row.goal,
                  row.created_by, Blob{labels}, source.source, source.settings_json, source.vars_json,
                  source.traceparent, OptionalId(row.forked_from)})
        .status();
  }

  absl::StatusOr<std::int64_t> Update(const Statement& statement, const RunRow& row, EventSeq expected) {
    return connection_.Execute(
        statement,
        {Blob{IdBytes(row.id)}, Number(row.head), row.updated_at.unix_ms, OptionalTime(row.started_at),
         OptionalTime(row.finished_at), row.outcome, OptionalText(row.error), std::int64_t{row.simulated},
         std::int64_t{row.stage_count}, std::int64_t{row.open_questions}, row.question_text, row.current_node,
         static_cast<std::int64_t>(row.status), OptionalQueueState(row.queue_state),
         -std::int64_t{row.priority}, row.queue_key, OptionalTime(row.wake_at), Number(expected)});
  }

  // For a step that moves an indexed column, or one that must be refused.
  absl::Status UpdateIndexed(const RunRow& row, EventSeq expected) {
    std::int64_t head = -1;
    auto before = RunStatus::kQueued;
    std::string workflow_slug;
    auto on_row = [&](const SqlRow& stored) {
      head = stored.Int(0);
      before = static_cast<RunStatus>(stored.Int(1));
      workflow_slug = stored.Text(2);
      return false;
    };
    FABRO_RETURN_IF_ERROR(connection_.Execute(sql::kBefore, {Blob{IdBytes(row.id)}}, on_row).status());
    if (head < 0) return Refuse(RunNotFound(row.id));
    if (head != Number(expected)) {
      return Refuse(StaleHead(
          row.id, "the run's head is " + std::to_string(head) + ", not " + std::to_string(Number(expected))));
    }
    touched_ = true;
    FABRO_ASSIGN_OR_RETURN(const std::int64_t updated, Update(sql::kUpdateRun, row, expected));
    if (updated != 1) return Internal("a run changed while its transaction held it");
    if (before != row.status) {
      applied_.counts.Add(workflow_slug, before, -1);
      applied_.counts.Add(workflow_slug, row.status, 1);
    }
    return absl::OkStatus();
  }

  absl::Status InsertRecords(const RunId& run, EventSeq after, const std::vector<RecordBytes>& records) {
    if (records.empty()) return absl::OkStatus();
    std::string events;
    std::string deltas;
    bool any_delta = false;
    for (const RecordBytes& record : records) {
      AppendFrame(events, record.event);
      AppendFrame(deltas, record.delta);
      any_delta = any_delta || !record.delta.empty();
    }
    return connection_
        .Execute(sql::kInsertEvents,
                 {Blob{IdBytes(run)}, Number(after) + 1, static_cast<std::int64_t>(records.size()),
                  Blob{events}, any_delta ? SqlValue(Blob{deltas}) : SqlValue()})
        .status();
  }

  static SqlValue OptionalText(const std::optional<std::string>& text) {
    return text ? SqlValue(*text) : SqlValue();
  }

  SqlConnection& connection_;
  Applied& applied_;
  bool touched_ = false;
  bool refused_ = false;
};

}  // namespace

void RunCounts::Add(std::string_view workflow_slug, RunStatus status, std::int64_t runs) {
  changes_[{std::string(workflow_slug), status}] += runs;
}

void RunCounts::Add(const RunCounts& other) {
  for (const auto& [key, runs] : other.changes_) changes_[key] += runs;
}

absl::Status RunCounts::Write(SqlConnection& connection) const {
  for (const auto& [key, runs] : changes_) {
    const auto& [workflow_slug, status] = key;
    if (runs == 0) continue;
    const auto number = static_cast<std::int64_t>(status);
    FABRO_RETURN_IF_ERROR(connection.Execute(sql::kAddCount, {workflow_slug, number, runs}).status());
    if (runs > 0) continue;
    FABRO_RETURN_IF_ERROR(connection.Execute(sql::kForgetCount, {workflow_slug, number}).status());
  }
  return absl::OkStatus();
}

void Usage::Add(const Usage& other) {
  runs += other.runs;
  runtime += other.runtime;
  for (const auto& [model, use] : other.models) {
    ModelUse& sum = models[model];
    sum.stages += use.stages;
    sum.input_tokens += use.input_tokens;
    sum.output_tokens += use.output_tokens;
    sum.cost_nanos += use.cost_nanos;
  }
}

absl::Status WriteUsage(SqlConnection& connection, const Usage& used) {
  if (used.runs != 0 || used.runtime.count() != 0) {
    FABRO_RETURN_IF_ERROR(
        connection.Execute(sql::kAddRuntime, {used.runs, std::int64_t{used.runtime.count()}}).status());
  }
  for (const auto& [model, use] : used.models) {
    FABRO_RETURN_IF_ERROR(connection
                              .Execute(sql::kAddModelUse, {model, use.stages, use.input_tokens,
                                                           use.output_tokens, use.cost_nanos})
                              .status());
  }
  return absl::OkStatus();
}

Applied Apply(SqlConnection& connection, WriteBatch& batch) {
  Applied applied;
  Applier applier(connection, applied);
  if (batch.writes.empty()) applied.status = connection.Execute(sql::kProbe, {}).status();
  for (Write& write : batch.writes) {
    applied.status = std::visit(applier, write);
    if (!applied.status.ok()) break;
  }
  applied.clean = applied.status.ok() || applier.clean();
  return applied;
}

std::size_t SizeOf(const WriteBatch& batch) {
  std::size_t size = 0;
  auto add_records = [&](const std::vector<RecordBytes>& records) {
    for (const RecordBytes& record : records) size += record.event.size() + record.delta.size() + 32;
  };
  for (const Write& write : batch.writes) {
    size += 512;
    if (const auto* create = std::get_if<CreateRun>(&write)) {
      size += create->source.source.size() + create->source.settings_json.size() +
              create->source.vars_json.size();
      size += create->row.goal.size();
      add_records(create->records);
    } else if (const auto* append = std::get_if<AppendRecords>(&write)) {
      size += append->snapshot ? append->snapshot->size() : 0;
      add_records(append->records);
    } else if (const auto* put = std::get_if<PutIdempotent>(&write)) {
      size += put->response.size();
    } else if (const auto* audit = std::get_if<AppendAudit>(&write)) {
      size += audit->principal.size() + audit->resource.size();
    } else if (const auto* artifact = std::get_if<PutArtifact>(&write)) {
      size += artifact->content.size();
    } else if (const auto* retro = std::get_if<PutRetro>(&write)) {
      for (const std::string& file : retro->stats.files_touched) size += file.size();
    }
  }
  return size;
}

}  // namespace fabro::storage
