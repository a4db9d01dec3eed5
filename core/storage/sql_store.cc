#include "core/storage/sql_store.h"

#include <utility>

#include "core/storage/queries.h"

namespace fabro::storage {
namespace {

class SqlStore final : public Store {
 public:
  SqlStore(StoreLimits limits, std::shared_ptr<void> keep_alive)
      : keep_alive_(std::move(keep_alive)), cache_(limits.cache) {}
  ~SqlStore() override { SqlStore::Close(); }

  absl::Status Start(ConnectionFactory writer, ConnectionFactory reader, const StoreLimits& limits) {
    auto commits = CommitQueue::Start(std::move(writer), cache_, limits.commits);
    if (!commits.ok()) return commits.status();
    commits_ = *std::move(commits);
    auto readers = ReaderPool::Open(std::move(reader), limits.reads);
    if (!readers.ok()) return readers.status();
    readers_ = *std::move(readers);
    return absl::OkStatus();
  }

  Task<absl::StatusOr<CommitResult>> Commit(WriteBatch batch) override {
    if (batch.writes.empty()) return Nothing();
    return commits_->Commit(std::move(batch));
  }

  Task<absl::StatusOr<RunRow>> GetRun(RunId run) override {
    if (const std::shared_ptr<const RunRow> row = cache_.Find(run)) co_return *row;
    auto fill = std::make_shared<RowCache::Fill>(cache_.BeginFill(run));
    auto read = [run, fill = std::move(fill)](SqlConnection& connection) {
      absl::StatusOr<RunRow> row = QueryRun(connection, run);
      if (row.ok()) fill->Keep(*row);
      return row;
    };
    co_return co_await readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<RunSource>> GetRunSource(RunId run) override {
    auto read = [run](SqlConnection& connection) { return QuerySource(connection, run); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<LoadedRun>> LoadRun(RunId run) override {
    auto fill = std::make_shared<RowCache::Fill>(cache_.BeginFill(run));
    auto read = [run, fill = std::move(fill)](SqlConnection& connection) {
      absl::StatusOr<LoadedRun> loaded = QueryLoadedRun(connection, run);
      if (loaded.ok()) fill->Keep(loaded->row);
      return loaded;
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<RunPage>> ListRuns(RunFilter filter, std::int64_t limit, std::int64_t offset) override {
    auto read = [filter = std::move(filter), limit, offset](SqlConnection& connection) {
      return QueryPage(connection, filter, limit, offset);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::vector<EventRecord>>> ReadRecords(RunId run, EventSeq after,
                                                             ReadLimits limits) override {
    auto read = [run, after, limits](SqlConnection& connection) {
      return QueryRecords(connection, run, after, limits);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::vector<EventBytes>>> ReadEvents(RunId run, EventSeq after,
                                                           ReadLimits limits) override {
    auto read = [run, after, limits](SqlConnection& connection) {
      return QueryEvents(connection, run, after, limits);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::optional<Snapshot>>> LatestSnapshot(RunId run) override {
    auto read = [run](SqlConnection& connection) { return QuerySnapshot(connection, run); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::vector<RunRow>>> ListRunnable(std::int64_t limit,
                                                         std::optional<RunnableCursor> after) override {
    auto read = [limit, after](SqlConnection& connection) { return QueryRunnable(connection, limit, after); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::optional<std::int64_t>>> QueuePosition(RunId run) override {
    auto read = [run](SqlConnection& connection) { return QueryQueuePosition(connection, run); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::vector<Timer>>> DueTimers(Timestamp now, std::int64_t limit) override {
    auto read = [now, limit](SqlConnection& connection) { return QueryDueTimers(connection, now, limit); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::optional<Timestamp>>> NextWakeAt() override {
    auto read = [](SqlConnection& connection) { return QueryNextWakeAt(connection); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::optional<IdempotentAnswer>>> GetIdempotent(std::string principal,
                                                                      std::string key) override {
    auto read = [principal = std::move(principal), key = std::move(key)](SqlConnection& connection) {
      return QueryIdempotent(connection, principal, key);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<AuditPage>> ListAudit(AuditFilter filter, std::int64_t limit,
                                            std::int64_t offset) override {
    auto read = [filter = std::move(filter), limit, offset](SqlConnection& connection) {
      return QueryAudit(connection, filter, limit, offset);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<StatusCounts>> CountByStatus() override {
    auto read = [](SqlConnection& connection) { return QueryStatusCounts(connection); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<Usage>> GetUsage() override {
    auto read = [](SqlConnection& connection) { return QueryUsage(connection); };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<ArtifactPage>> ListArtifacts(RunId run, std::int64_t limit,
                                                   std::int64_t offset) override {
    auto read = [run, limit, offset](SqlConnection& connection) {
      return QueryArtifacts(connection, run, limit, offset);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<std::string>> GetArtifact(std::string hash) override {
    auto read = [hash = std::move(hash)](SqlConnection& connection) {
      return QueryArtifact(connection, hash);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::StatusOr<RetroPage>> ListRetros(RetroFilter filter, std::int64_t limit,
                                             std::int64_t offset) override {
    auto read = [filter = std::move(filter), limit, offset](SqlConnection& connection) {
      return QueryRetros(connection, filter, limit, offset);
    };
    return readers_->Run(std::move(read));
  }

  Task<absl::Status> CheckWritable() override {
    WriteBatch probe;
    const absl::StatusOr<CommitResult> written = co_await commits_->Commit(std::move(probe));
    co_return written.status();
  }

  const CommitMetrics& commit_metrics() const override { return commits_->metrics(); }

  bool WritesFail() const override { return commits_->writes_fail(); }

  void Close() override {
    if (readers_) readers_->Stop();
    if (commits_) commits_->Stop();
  }

 private:
  static Task<absl::StatusOr<CommitResult>> Nothing() { co_return CommitResult{}; }

  const std::shared_ptr<void> keep_alive_;  // of whatever type the backend has; goes last
  RowCache cache_;
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<ReaderPool> readers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> MakeSqlStore(ConnectionFactory writer, ConnectionFactory reader,
                                                    StoreLimits limits, std::shared_ptr<void> keep_alive) {
  auto store = std::make_unique<SqlStore>(limits, std::move(keep_alive));
  const absl::Status started = store->Start(std::move(writer), std::move(reader), limits);
  if (!started.ok()) return started;
  return store;
}

}  // namespace fabro::storage
