// The reads of the store as blocking functions of one connection.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/storage/sql_connection.h"
#include "core/storage/store.h"

namespace fabro::storage {

// Each answers from one moment, also those that take several statements.
absl::StatusOr<RunRow> QueryRun(SqlConnection& connection, RunId run);
absl::StatusOr<RunSource> QuerySource(SqlConnection& connection, RunId run);
absl::StatusOr<LoadedRun> QueryLoadedRun(SqlConnection& connection, RunId run);
absl::StatusOr<std::optional<Snapshot>> QuerySnapshot(SqlConnection& connection, RunId run);
absl::StatusOr<std::vector<EventRecord>> QueryRecords(SqlConnection& connection, RunId run, EventSeq after,
                                                      ReadLimits limits);
absl::StatusOr<std::vector<EventBytes>> QueryEvents(SqlConnection& connection, RunId run, EventSeq after,
                                                    ReadLimits limits);

absl::StatusOr<RunPage> QueryPage(SqlConnection& connection, const RunFilter& filter, std::int64_t limit,
                                  std::int64_t offset);
absl::StatusOr<StatusCounts> QueryStatusCounts(SqlConnection& connection);
absl::StatusOr<Usage> QueryUsage(SqlConnection& connection);
absl::StatusOr<ArtifactPage> QueryArtifacts(SqlConnection& connection, RunId run, std::int64_t limit,
                                            std::int64_t offset);
absl::StatusOr<std::string> QueryArtifact(SqlConnection& connection, std::string_view hash);
absl::StatusOr<RetroPage> QueryRetros(SqlConnection& connection, const RetroFilter& filter,
                                      std::int64_t limit, std::int64_t offset);

absl::StatusOr<std::vector<RunRow>> QueryRunnable(SqlConnection& connection, std::int64_t limit,
                                                  const std::optional<RunnableCursor>& after);
absl::StatusOr<std::optional<std::int64_t>> QueryQueuePosition(SqlConnection& connection, RunId run);
absl::StatusOr<std::vector<Timer>> QueryDueTimers(SqlConnection& connection, Timestamp now,
                                                  std::int64_t limit);
absl::StatusOr<std::optional<Timestamp>> QueryNextWakeAt(SqlConnection& connection);

absl::StatusOr<std::optional<IdempotentAnswer>> QueryIdempotent(SqlConnection& connection,
                                                                std::string_view principal,
                                                                std::string_view key);

absl::StatusOr<AuditPage> QueryAudit(SqlConnection& connection, const AuditFilter& filter, std::int64_t limit,
                                     std::int64_t offset);

}  // namespace fabro::storage
