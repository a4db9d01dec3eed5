#include "core/storage/queries.h"

#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/storage/row_codec.h"
#include "core/storage/statements.h"

namespace fabro::storage {
namespace {

constexpr std::int64_t kAnyStatus = (1 << kAllRunStatuses.size()) - 1;

absl::Status RunNotFound(const RunId& run) {
  return NotFound(Reason::kRunNotFound, run.ToString(), "Run " + run.ToString() + " not found.");
}

// One read transaction, ended when it goes out of scope: nothing to commit.
class ReadTransaction {
 public:
  explicit ReadTransaction(SqlConnection& connection)
      : connection_(connection), status_(connection.Begin()) {}
  ~ReadTransaction() { connection_.Rollback(); }
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;
  const absl::Status& status() const { return status_; }

 private:
  SqlConnection& connection_;
  const absl::Status status_;
};

// The sequence numbers of the records in one row of `events` that come after `after`, with their bytes.
struct EventsRow {
  std::uint64_t seq;  // of the next record
  std::uint64_t count;
  std::string_view events;
  std::string_view deltas;
  bool has_deltas;

  EventsRow(const SqlRow& row, bool with_deltas)
      : seq(static_cast<std::uint64_t>(row.Int(0))),
        count(static_cast<std::uint64_t>(row.Int(1))),
        events(row.Bytes(2)),
        has_deltas(with_deltas && !row.IsNull(3)) {
    if (has_deltas) deltas = row.Bytes(3);
  }

  // False at the end. `damaged` tells that the bytes ended before the count.
  bool Next(std::string_view& event, std::string_view& delta, bool& damaged) {
    if (count == 0) return false;
    damaged = !TakeFrame(events, event) || (has_deltas && !TakeFrame(deltas, delta));
    --count;
    return !damaged;
  }
};

// Collects records in order, up to the limits. Record is EventRecord or EventBytes.
template <typename Record>
class Collector {
 public:
  Collector(EventSeq after, ReadLimits limits, bool with_deltas)
      : next_(ToUint(after) + 1), limits_(limits), with_deltas_(with_deltas) {}

  bool Add(const SqlRow& row) {
    EventsRow events(row, with_deltas_);
    std::string_view event;
    std::string_view delta;
    while (events.Next(event, delta, damaged_)) {
      const std::uint64_t seq = events.seq++;
      if (seq < next_) continue;
      if (seq > next_) damaged_ = true;
      const std::size_t size = event.size() + delta.size();
      const bool full = out_.size() >= limits_.records || bytes_ + size > limits_.bytes;
      if (damaged_ || (full && !out_.empty())) return false;
      bytes_ += size;
      Append(seq, event, delta);
      ++next_;
    }
    return !damaged_;
  }

  absl::StatusOr<std::vector<Record>> Take(const RunId& run) {
    if (damaged_) {
      return Error(absl::StatusCode::kDataLoss, Reason::kInternal, run.ToString(),
                   "the run's log is damaged before record " + std::to_string(next_));
    }
    return std::move(out_);
  }

 private:
  void Append(std::uint64_t seq, std::string_view event, std::string_view delta) {
    if constexpr (std::is_same_v<Record, EventRecord>) {
      out_.push_back({EventSeq(seq), std::string(event), std::string(delta)});
    } else {
      out_.push_back({EventSeq(seq), std::string(event)});
    }
  }

  std::uint64_t next_;
  const ReadLimits limits_;
  const bool with_deltas_;
  std::vector<Record> out_;
  std::size_t bytes_ = 0;
  bool damaged_ = false;
};

template <typename Record>
absl::StatusOr<std::vector<Record>> Collect(SqlConnection& connection, const Statement& statement, RunId run,
                                            EventSeq after, ReadLimits limits, bool with_deltas) {
  if (ToUint(after) >= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return std::vector<Record>{};
  }
  Collector<Record> collector(after, limits, with_deltas);
  auto on_row = [&](const SqlRow& row) { return collector.Add(row); };
  const auto first = static_cast<std::int64_t>(ToUint(after) + 1);
  FABRO_RETURN_IF_ERROR(connection.Execute(statement, {Blob{IdBytes(run)}, first}, on_row).status());
  return collector.Take(run);
}

std::int64_t Mask(const std::vector<RunStatus>& statuses) {
  if (statuses.empty()) return kAnyStatus;
  std::int64_t mask = 0;
  for (const RunStatus status : statuses) mask |= std::int64_t{1} << static_cast<int>(status);
  return mask;
}

const Statement& PageStatement(const RunFilter& filter) {
  const bool oldest = filter.oldest_first;
  if (filter.parent) return oldest ? sql::kPageParentOldest : sql::kPageParentNewest;
  if (!filter.workflow_slug.empty()) return oldest ? sql::kPageWorkflowOldest : sql::kPageWorkflowNewest;
  if (!filter.statuses.empty()) return oldest ? sql::kPageStatusOldest : sql::kPageStatusNewest;
  return oldest ? sql::kPageAllOldest : sql::kPageAllNewest;
}

// The number in the first column of the first row, if any.
absl::StatusOr<std::optional<std::int64_t>> QueryNumber(SqlConnection& connection, const Statement& statement,
                                                        std::initializer_list<SqlValue> values) {
  std::optional<std::int64_t> number;
  auto on_row = [&](const SqlRow& row) {
    if (!row.IsNull(0)) number = row.Int(0);
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(statement, values, on_row).status());
  return number;
}

absl::StatusOr<std::int64_t> QueryTotal(SqlConnection& connection, const RunFilter& filter) {
  const std::int64_t mask = Mask(filter.statuses);
  if (filter.parent) {
    FABRO_ASSIGN_OR_RETURN(const auto count,
                           QueryNumber(connection, sql::kCountParent,
                                       {mask, filter.workflow_slug, Blob{IdBytes(*filter.parent)}}));
    return count.value_or(0);
  }
  if (!filter.workflow_slug.empty()) {
    FABRO_ASSIGN_OR_RETURN(const auto count,
                           QueryNumber(connection, sql::kCountWorkflow, {mask, filter.workflow_slug}));
    return count.value_or(0);
  }
  FABRO_ASSIGN_OR_RETURN(const StatusCounts counts, QueryStatusCounts(connection));
  std::int64_t total = 0;
  for (const RunStatus status : kAllRunStatuses) {
    if ((mask >> static_cast<int>(status) & 1) != 0) total += counts[static_cast<std::size_t>(status)];
  }
  return total;
}

}  // namespace

absl::StatusOr<RunRow> QueryRun(SqlConnection& connection, RunId run) {
  std::optional<RunRow> found;
  auto on_row = [&](const SqlRow& row) {
    found = ReadRow(row);
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kGetRun, {Blob{IdBytes(run)}}, on_row).status());
  if (!found) return RunNotFound(run);
  return *std::move(found);
}

absl::StatusOr<RunSource> QuerySource(SqlConnection& connection, RunId run) {
  std::optional<RunSource> found;
  auto on_row = [&](const SqlRow& row) {
    found = RunSource{std::string(row.Text(0)), std::string(row.Text(1)), std::string(row.Text(2)),
                      std::string(row.Text(3))};
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kGetSource, {Blob{IdBytes(run)}}, on_row).status());
  if (!found) return RunNotFound(run);
  return *std::move(found);
}

absl::StatusOr<std::optional<Snapshot>> QuerySnapshot(SqlConnection& connection, RunId run) {
  std::optional<Snapshot> found;
  auto on_row = [&](const SqlRow& row) {
    found = Snapshot{EventSeq(static_cast<std::uint64_t>(row.Int(0))), std::string(row.Bytes(1))};
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kGetSnapshot, {Blob{IdBytes(run)}}, on_row).status());
  return found;
}

absl::StatusOr<std::vector<EventRecord>> QueryRecords(SqlConnection& connection, RunId run, EventSeq after,
                                                      ReadLimits limits) {
  return Collect<EventRecord>(connection, sql::kReadRecords, run, after, limits, true);
}

absl::StatusOr<std::vector<EventBytes>> QueryEvents(SqlConnection& connection, RunId run, EventSeq after,
                                                    ReadLimits limits) {
  return Collect<EventBytes>(connection, sql::kReadEvents, run, after, limits, false);
}

absl::StatusOr<LoadedRun> QueryLoadedRun(SqlConnection& connection, RunId run) {
  const ReadTransaction transaction(connection);
  FABRO_RETURN_IF_ERROR(transaction.status());
  LoadedRun loaded;
  FABRO_ASSIGN_OR_RETURN(loaded.row, QueryRun(connection, run));
  FABRO_ASSIGN_OR_RETURN(loaded.source, QuerySource(connection, run));
  FABRO_ASSIGN_OR_RETURN(loaded.snapshot, QuerySnapshot(connection, run));
  const ReadLimits all{std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max()};
  const EventSeq after = loaded.snapshot ? loaded.snapshot->seq : EventSeq{};
  FABRO_ASSIGN_OR_RETURN(loaded.tail, QueryRecords(connection, run, after, all));
  return loaded;
}

absl::StatusOr<RunPage> QueryPage(SqlConnection& connection, const RunFilter& filter, std::int64_t limit,
                                  std::int64_t offset) {
  const ReadTransaction transaction(connection);
  FABRO_RETURN_IF_ERROR(transaction.status());
  RunPage page;
  FABRO_ASSIGN_OR_RETURN(page.total, QueryTotal(connection, filter));
  auto on_row = [&](const SqlRow& row) {
    page.rows.push_back(ReadRow(row));
    if (!row.IsNull(kRunColumnCount)) page.rows.back().queue_position = row.Int(kRunColumnCount);
    return true;
  };
  const SqlValue parent = filter.parent ? SqlValue(Blob{IdBytes(*filter.parent)}) : SqlValue();
  FABRO_RETURN_IF_ERROR(connection
                            .Execute(PageStatement(filter),
                                     {limit, offset, Mask(filter.statuses), filter.workflow_slug, parent},
                                     on_row)
                            .status());
  return page;
}

absl::StatusOr<StatusCounts> QueryStatusCounts(SqlConnection& connection) {
  StatusCounts counts{};
  auto on_row = [&](const SqlRow& row) {
    const auto status = static_cast<std::uint64_t>(row.Int(0));
    if (status < counts.size()) counts[status] = row.Int(1);
    return true;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kCountByStatus, {}, on_row).status());
  return counts;
}

absl::StatusOr<Usage> QueryUsage(SqlConnection& connection) {
  const ReadTransaction transaction(connection);
  FABRO_RETURN_IF_ERROR(transaction.status());
  Usage usage;
  auto on_totals = [&](const SqlRow& row) {
    usage.runs = row.Int(0);
    usage.runtime = std::chrono::milliseconds(row.Int(1));
    return true;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kUsageTotals, {}, on_totals).status());
  auto on_model = [&](const SqlRow& row) {
    usage.models.emplace(row.Text(0), ModelUse{row.Int(1), row.Int(2), row.Int(3), row.Int(4)});
    return true;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kModelUsage, {}, on_model).status());
  return usage;
}

absl::StatusOr<ArtifactPage> QueryArtifacts(SqlConnection& connection, RunId run, std::int64_t limit,
                                            std::int64_t offset) {
  ArtifactPage page;
  auto on_row = [&](const SqlRow& row) {
    page.has_more = static_cast<std::int64_t>(page.refs.size()) == limit;
    if (page.has_more) return false;
    page.refs.push_back({std::string(row.Text(0)),
                         static_cast<std::uint64_t>(row.Int(1)),
                         std::string(row.Text(2)),
                         std::string(row.Text(3)),
                         {row.Int(4)}});
    return true;
  };
  FABRO_RETURN_IF_ERROR(
      connection.Execute(sql::kArtifactsOfRun, {Blob{IdBytes(run)}, limit + 1, offset}, on_row).status());
  return page;
}

absl::StatusOr<std::string> QueryArtifact(SqlConnection& connection, std::string_view hash) {
  std::optional<std::string> content;
  auto on_row = [&](const SqlRow& row) {
    content = row.Bytes(0);
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kGetArtifact, {hash}, on_row).status());
  if (!content) {
    return NotFound(Reason::kNotFound, hash, "There is no artifact " + std::string(hash) + ".");
  }
  return *std::move(content);
}

absl::StatusOr<RetroPage> QueryRetros(SqlConnection& connection, const RetroFilter& filter,
                                      std::int64_t limit, std::int64_t offset) {
  const bool by_workflow = !filter.workflow_slug.empty();
  const Statement& statement = by_workflow && filter.smoothness ? sql::kRetrosOfBoth
                               : by_workflow                    ? sql::kRetrosOfWorkflow
                               : filter.smoothness              ? sql::kRetrosOfSmoothness
                                                                : sql::kRetros;
  RetroPage page;
  bool damaged = false;
  auto on_row = [&](const SqlRow& row) {
    page.has_more = static_cast<std::int64_t>(page.retros.size()) == limit;
    if (page.has_more) return false;
    Retro& retro = page.retros.emplace_back(IdAt(row, 0), std::string(row.Text(1)), std::string(row.Text(2)));
    retro.stats = {.finished_at = {row.Int(3)},
                   .smoothness = static_cast<Smoothness>(row.Int(4)),
                   .duration = std::chrono::milliseconds(row.Int(5)),
                   .cost_nanos = row.IsNull(6) ? std::nullopt : std::optional(row.Int(6)),
                   .retries = static_cast<std::uint32_t>(row.Int(7)),
                   .friction_points = static_cast<std::uint32_t>(row.Int(8)),
                   .stages_completed = static_cast<std::uint32_t>(row.Int(9)),
                   .stages_failed = static_cast<std::uint32_t>(row.Int(10)),
                   .files_touched = {}};
    std::string_view files = row.IsNull(11) ? std::string_view() : row.Bytes(11);
    std::string_view file;
    while (!files.empty() && !damaged) {
      damaged = !TakeFrame(files, file);
      if (!damaged) retro.stats.files_touched.emplace_back(file);
    }
    return !damaged;
  };
  FABRO_RETURN_IF_ERROR(
      connection
          .Execute(statement,
                   {limit + 1, offset, filter.workflow_slug,
                    static_cast<std::int64_t>(filter.smoothness.value_or(Smoothness::kEffortless))},
                   on_row)
          .status());
  if (damaged) return absl::DataLossError("the files of a retro are unreadable");
  return page;
}

absl::StatusOr<std::vector<RunRow>> QueryRunnable(SqlConnection& connection, std::int64_t limit,
                                                  const std::optional<RunnableCursor>& after) {
  std::vector<RunRow> rows;
  auto on_row = [&](const SqlRow& row) {
    rows.push_back(ReadRow(row));
    return true;
  };
  const RunnableCursor from = after.value_or(RunnableCursor{});
  const std::int64_t state = after ? static_cast<std::int64_t>(from.queue_state) : -1;  // -1: before all
  FABRO_RETURN_IF_ERROR(
      connection
          .Execute(sql::kRunnable,
                   {limit, state, -std::int64_t{from.priority}, from.queue_key, Blob{IdBytes(from.id)}},
                   on_row)
          .status());
  return rows;
}

absl::StatusOr<std::optional<std::int64_t>> QueryQueuePosition(SqlConnection& connection, RunId run) {
  return QueryNumber(connection, sql::kQueuePosition, {Blob{IdBytes(run)}});
}

absl::StatusOr<std::vector<Timer>> QueryDueTimers(SqlConnection& connection, Timestamp now,
                                                  std::int64_t limit) {
  std::vector<Timer> timers;
  auto on_row = [&](const SqlRow& row) {
    timers.push_back({IdAt(row, 0), {row.Int(1)}});
    return true;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kDueTimers, {now.unix_ms, limit}, on_row).status());
  return timers;
}

absl::StatusOr<std::optional<Timestamp>> QueryNextWakeAt(SqlConnection& connection) {
  FABRO_ASSIGN_OR_RETURN(const std::optional<std::int64_t> at, QueryNumber(connection, sql::kNextWakeAt, {}));
  if (!at) return std::nullopt;
  return Timestamp{*at};
}

absl::StatusOr<std::optional<IdempotentAnswer>> QueryIdempotent(SqlConnection& connection,
                                                                std::string_view principal,
                                                                std::string_view key) {
  std::optional<IdempotentAnswer> answer;
  auto on_row = [&](const SqlRow& row) {
    answer = IdempotentAnswer{std::string(row.Bytes(0)), std::string(row.Bytes(1)), {row.Int(2)}};
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(sql::kGetIdempotent, {principal, key}, on_row).status());
  return answer;
}

absl::StatusOr<AuditPage> QueryAudit(SqlConnection& connection, const AuditFilter& filter, std::int64_t limit,
                                     std::int64_t offset) {
  const Statement& statement = !filter.resource.empty()    ? sql::kAuditOfResource
                               : !filter.principal.empty() ? sql::kAuditOfPrincipal
                               : !filter.action.empty()    ? sql::kAuditOfAction
                                                           : sql::kAuditAll;
  AuditPage page;
  auto on_row = [&](const SqlRow& row) {
    page.has_more = static_cast<std::int64_t>(page.entries.size()) == limit;
    if (page.has_more) return false;
    AuditEntry& entry = page.entries.emplace_back();
    entry.id = static_cast<std::uint64_t>(row.Int(0));
    entry.what = {{row.Int(1)},
                  std::string(row.Text(2)),
                  std::string(row.Text(3)),
                  std::string(row.Text(4)),
                  std::string(row.Text(5)),
                  std::string(row.Text(6))};
    return true;
  };
  FABRO_RETURN_IF_ERROR(
      connection
          .Execute(statement, {limit + 1, offset, filter.principal, filter.action, filter.resource}, on_row)
          .status());
  return page;
}

}  // namespace fabro::storage
