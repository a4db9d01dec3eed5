// Commits and reads of the same runs at the same time, with a row cache so small that rows come and go.
#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"
#include "core/storage/sqlite/sqlite_store.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_directory.h"

namespace fabro::storage {
namespace {

constexpr int kRuns = 6;
constexpr std::uint64_t kAppends = 300;

RunId Id(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[5] = static_cast<std::uint8_t>(n);
  return RunId::FromBytes(bytes);
}

struct Shared {
  std::array<std::atomic<std::uint64_t>, kRuns> acknowledged{};
  std::atomic<int> running{kRuns};
  std::atomic<int> stale{0};
  std::atomic<int> failures{0};
  std::atomic<int> reads{0};
};

Task<void> WriteRun(Store& store, Shared& shared, int n) {
  RunRow row;
  row.id = Id(n);
  for (std::uint64_t head = 1; head <= kAppends; ++head) {
    row.stage_count = static_cast<std::int32_t>(head);
    row.status = head % 5 == 0 ? RunStatus::kPaused : RunStatus::kRunning;
    WriteBatch batch;
    batch.writes.push_back(AppendRecords{EventSeq(head - 1), row, {{"e", ""}}, {}});
    const absl::StatusOr<CommitResult> done = co_await store.Commit(std::move(batch));
    if (!done.ok()) ++shared.failures;
    shared.acknowledged[n] = head;
    const absl::StatusOr<RunRow> own = co_await store.GetRun(Id(n));
    if (!own.ok() || ToUint(own->head) != head || own->stage_count != row.stage_count) ++shared.stale;
  }
  --shared.running;
}

Task<void> ReadRuns(Store& store, Shared& shared) {
  for (int n = 0; shared.running > 0; n = (n + 1) % kRuns) {
    const std::uint64_t floor = shared.acknowledged[n];
    const absl::StatusOr<RunRow> row = co_await store.GetRun(Id(n));
    ++shared.reads;
    if (!row.ok()) ++shared.failures;
    if (row.ok() &&
        (ToUint(row->head) < floor || ToUint(row->head) != static_cast<std::uint64_t>(row->stage_count))) {
      ++shared.stale;
    }
    co_await Yield();
  }
}

TEST(StoreCoherence, AReadSeesEveryCommitThatCompletedBeforeIt) {
  testing::TempDirectory directory;
  Runtime runtime(3);
  sqlite::SqliteOptions options;
  options.path = directory.path() / "fabro.db";
  options.limits.cache.rows = 2;
  auto store = sqlite::OpenSqliteStore(options);
  ASSERT_TRUE(store.ok());
  Shared shared;
  for (int n = 0; n < kRuns; ++n) {
    RunRow row;
    row.id = Id(n);
    WriteBatch batch;
    batch.writes.push_back(CreateRun{row, {}, {}});
    ASSERT_TRUE(testing::RunTask(runtime.executor(), (*store)->Commit(std::move(batch))).ok());
  }
  {
    TaskScope scope(runtime.executor());
    for (int n = 0; n < kRuns; ++n) scope.Spawn("writer", WriteRun(**store, shared, n));
    for (int i = 0; i < 3; ++i) scope.Spawn("reader", ReadRuns(**store, shared));
    scope.JoinBlocking();
  }
  EXPECT_EQ(shared.stale, 0);
  EXPECT_EQ(shared.failures, 0);
  EXPECT_GT(shared.reads, 0);
}

}  // namespace
}  // namespace fabro::storage
