// Durable steps per second: the store through coroutines, beside the bare floor of SQLite with the same
// statements in the same groups. Both alternate in one run, because the disk's speed drifts.
//
//   storage_bench [seconds per measurement = 1] [rounds = 5] [directory = .]
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"
#include "core/base/error.h"
#include "core/storage/apply.h"
#include "core/storage/sqlite/sqlite_connection.h"
#include "core/storage/sqlite/sqlite_store.h"
#include "tests/support/run_task.h"

namespace fabro::storage {
namespace {

using Steady = std::chrono::steady_clock;

RunId Id(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  for (int i = 0; i < 4; ++i) bytes[5 - i] = bytes[15 - i] = static_cast<std::uint8_t>(n >> (8 * i));
  return RunId::FromBytes(bytes);
}

// What one step of a workflow writes: three events, a delta, the row.
WriteBatch Step(RunRow& row) {
  AppendRecords append;
  append.expected_head = row.head;
  row.stage_count += 1;
  row.updated_at.unix_ms += 1;
  row.current_node = row.stage_count % 2 == 0 ? "build" : "test";
  append.row = row;
  append.records = {
      {std::string(90, 'a'), ""}, {std::string(130, 'b'), std::string(80, 'd')}, {std::string(60, 'c'), ""}};
  row.head = EventSeq(ToUint(row.head) + append.records.size());
  WriteBatch batch;
  batch.writes.push_back(std::move(append));
  return batch;
}

std::vector<RunRow> MakeRuns(Store& store, const Executor& executor, int count) {
  static int next = 1;
  std::vector<RunRow> rows(count);
  for (RunRow& row : rows) {
    row.id = Id(next++);
    row.status = RunStatus::kRunning;
    row.queue_state = QueueState::kActive;
    row.workflow_slug = "bench";
    row.title = row.goal = "A goal of ordinary length, as people write them";
    WriteBatch batch;
    batch.writes.push_back(CreateRun{row, {"digraph {}", "{}", "{}"}, {}});
    const auto created = testing::RunTask(executor, store.Commit(std::move(batch)));
    if (!created.ok()) std::abort();
  }
  return rows;
}

double StoreRate(Store& store, const Executor& executor, int writers, std::chrono::duration<double> time) {
  std::vector<RunRow> rows = MakeRuns(store, executor, writers);
  std::atomic<std::int64_t> steps = 0;
  const auto begin = Steady::now();
  const auto end = begin + std::chrono::duration_cast<Steady::duration>(time);
  auto work = [](Store& s, RunRow& row, Steady::time_point end,
                 std::atomic<std::int64_t>& steps) -> Task<void> {
    while (Steady::now() < end) {
      WriteBatch batch = Step(row);
      const absl::StatusOr<CommitResult> done = co_await s.Commit(std::move(batch));
      if (!done.ok()) std::printf("%s\n", Describe(done.status()).c_str());
      ++steps;
    }
  };
  TaskScope scope(executor);
  for (RunRow& row : rows) scope.Spawn("writer", work(store, row, end, steps));
  scope.JoinBlocking();
  return static_cast<double>(steps) / std::chrono::duration<double>(Steady::now() - begin).count();
}

// One thread, one connection, groups of exactly `writers`, nothing else.
double FloorRate(SqlConnection& connection, std::vector<RunRow> rows, std::chrono::duration<double> time) {
  std::int64_t steps = 0;
  const auto begin = Steady::now();
  do {
    if (!connection.Begin().ok()) std::abort();
    for (RunRow& row : rows) {
      WriteBatch batch = Step(row);
      if (!Apply(connection, batch).status.ok()) std::abort();  // a step changes no counts
    }
    if (!connection.Commit().ok()) std::abort();
    steps += static_cast<std::int64_t>(rows.size());
  } while (Steady::now() - begin < time);
  return static_cast<double>(steps) / std::chrono::duration<double>(Steady::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Main(int argc, char** argv) {
  const std::chrono::duration<double> time(argc > 1 ? std::atof(argv[1]) : 1.0);
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const std::filesystem::path directory =
      std::filesystem::path(argc > 3 ? argv[3] : ".") / "storage_bench.tmp";
  std::filesystem::remove_all(directory);
  constexpr std::array kWriters{1, 16, 64};
  std::array<std::vector<double>, 3> floor;
  std::array<std::vector<double>, 3> store_rate;
  Runtime runtime(Runtime::DefaultThreads());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < kWriters.size(); ++i) {
      sqlite::SqliteOptions options;
      options.path = directory / "fabro.db";
      auto store = sqlite::OpenSqliteStore(options);
      if (!store.ok()) return std::puts(Describe(store.status()).c_str()), 1;
      std::vector<RunRow> rows = MakeRuns(**store, runtime.executor(), kWriters[i]);
      {
        auto connection =
            sqlite::SqliteConnection::Open(options.path.string(), sqlite::SqliteConnection::Role::kWriter);
        if (!connection.ok() || !(*connection)->RunScript("PRAGMA wal_autocheckpoint = 4096").ok()) return 1;
        floor[i].push_back(FloorRate(**connection, std::move(rows), time));
      }
      store_rate[i].push_back(StoreRate(**store, runtime.executor(), kWriters[i], time));
      store->reset();
      std::filesystem::remove_all(directory);
    }
  }
  std::puts("durable steps per second (medians)\n writers   SQLite floor   store      ratio");
  for (std::size_t i = 0; i < kWriters.size(); ++i) {
    const double below = Median(floor[i]);
    const double ours = Median(store_rate[i]);
    std::printf("%8d %14.0f %7.0f %10.2f\n", kWriters[i], below, ours, ours / below);
  }
  return 0;
}

}  // namespace
}  // namespace fabro::storage

int main(int argc, char** argv) { return fabro::storage::Main(argc, argv); }
