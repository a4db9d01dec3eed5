// What a database full of parked runs costs: the store's start-up, its memory and its lists.
//
//   parked_runs_bench [runs = 1000000] [directory = .]
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "core/async/runtime.h"
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
  for (int i = 0; i < 4; ++i) bytes[5 - i] = static_cast<std::uint8_t>(n >> (8 * i));
  bytes[15] = static_cast<std::uint8_t>(n * 31);
  return RunId::FromBytes(bytes);
}

WriteBatch Parked(int n) {
  CreateRun create;
  create.row.id = Id(n);
  create.row.created_at = {1'800'000'000'000 + n};
  create.row.status = n % 10 == 0    ? RunStatus::kPaused
                      : n % 100 == 1 ? RunStatus::kCompleted
                                     : RunStatus::kRunning;
  create.row.queue_state = n < 1000 ? QueueState::kQueued : QueueState::kNone;
  create.row.workflow_slug = n % 3 == 0 ? "deploy" : "ship";
  create.row.title = "A parked run";
  create.row.goal = std::string(100, 'g');
  create.row.question_text = "Ship it?";
  create.row.open_questions = 1;
  if (n % 2 == 1) create.row.wake_at = Timestamp{2'000'000'000'000 + n};
  create.source = {std::string(600, 's'), "{}", "{}"};
  for (int i = 0; i < 6; ++i) create.records.push_back({std::string(120, 'e'), std::string(30, 'd')});
  WriteBatch batch;
  batch.writes.push_back(std::move(create));
  return batch;
}

// Written past the queue: a million commits of one run each are not what is measured.
void Fill(const sqlite::SqliteOptions& options, int runs) {
  if (!sqlite::OpenSqliteStore(options).ok()) std::abort();
  auto connection =
      sqlite::SqliteConnection::Open(options.path.string(), sqlite::SqliteConnection::Role::kWriter);
  if (!connection.ok() || !(*connection)->RunScript("PRAGMA wal_autocheckpoint = 4096").ok()) std::abort();
  for (int n = 0; n < runs;) {
    RunCounts counts;
    if (!(*connection)->Begin().ok()) std::abort();
    for (int i = 0; i < 5000 && n < runs; ++i, ++n) {
      WriteBatch batch = Parked(n);
      const Applied applied = Apply(**connection, batch);
      if (!applied.status.ok()) std::abort();
      counts.Add(applied.counts);
    }
    if (!counts.Write(**connection).ok() || !(*connection)->Commit().ok()) std::abort();
  }
}

void PrintMemory(const char* when) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS")) std::printf("%-32s %s\n", when, line.c_str());
  }
}

int Measure(const sqlite::SqliteOptions& options, int runs) {
  Runtime runtime(2);
  auto last = Steady::now();
  auto lap = [&last](const char* what, bool ok) {
    const auto now = Steady::now();
    std::printf("%-32s %8.2f ms%s\n", what, std::chrono::duration<double, std::milli>(now - last).count(),
                ok ? "" : "  FAILED");
    last = Steady::now();
  };
  auto run = [&runtime](auto task) { return testing::RunTask(runtime.executor(), std::move(task)).ok(); };
  auto opened = sqlite::OpenSqliteStore(options);
  if (!opened.ok()) return std::puts(Describe(opened.status()).c_str()), 1;
  Store& store = **opened;
  lap("open", true);
  lap("runnable runs (1,000)", run(store.ListRunnable(10'000, std::nullopt)));
  lap("next timer", run(store.NextWakeAt()));
  PrintMemory("started");
  lap("count by status", run(store.CountByStatus()));
  lap("first page", run(store.ListRuns({}, 20, 0)));
  lap("page in the middle", run(store.ListRuns({}, 20, runs / 2)));
  RunFilter filter;
  filter.statuses = {RunStatus::kPaused, RunStatus::kRunning};
  lap("first page of two statuses", run(store.ListRuns(filter, 20, 0)));
  filter.workflow_slug = "deploy";
  filter.statuses = {RunStatus::kCompleted};
  lap("first page, workflow and status", run(store.ListRuns(filter, 20, 0)));
  lap("queue position of the last", run(store.QueuePosition(Id(999))));
  lap("load a run", run(store.LoadRun(Id(runs / 2))));
  PrintMemory("after");
  return 0;
}

int Main(int argc, char** argv) {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 1'000'000;
  const auto directory = std::filesystem::path(argc > 2 ? argv[2] : ".") / "parked_runs_bench.tmp";
  std::filesystem::remove_all(directory);
  sqlite::SqliteOptions options;
  options.path = directory / "fabro.db";
  const pid_t filler = fork();  // a process of its own, so that its memory does not count
  if (filler == 0) {
    Fill(options, runs);
    _exit(0);
  }
  int how = 0;
  if (filler < 0 || waitpid(filler, &how, 0) != filler || how != 0) return 1;
  std::printf("%d runs, %ju MiB\n", runs,
              static_cast<std::uintmax_t>(std::filesystem::file_size(options.path) >> 20));
  const int result = Measure(options, runs);
  std::filesystem::remove_all(directory);
  return result;
}

}  // namespace
}  // namespace fabro::storage

int main(int argc, char** argv) { return fabro::storage::Main(argc, argv); }
