// What only the SQLite store promises: its files, its lock, its migrations, and survival of kill -9.
#include "core/storage/sqlite/sqlite_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <map>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"
#include "core/base/error.h"
#include "core/storage/sqlite/migrator.h"
#include "core/storage/sqlite/sqlite_connection.h"
#include "core/storage/statements.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_directory.h"

namespace fabro::storage::sqlite {
namespace {

RunId Id(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[4] = static_cast<std::uint8_t>(n >> 8);
  bytes[5] = static_cast<std::uint8_t>(n);
  return RunId::FromBytes(bytes);
}

WriteBatch Create(int n) {
  RunRow row;
  row.id = Id(n);
  WriteBatch batch;
  batch.writes.push_back(CreateRun{row, {}, {}});
  return batch;
}

WriteBatch Append(int n, std::uint64_t head, std::string event) {
  RunRow row;
  row.id = Id(n);
  WriteBatch batch;
  batch.writes.push_back(AppendRecords{EventSeq(head), row, {{std::move(event), "d"}}, {}});
  return batch;
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Store>> Open(StoreLimits limits = {}) {
    SqliteOptions options;
    options.path = path_;
    options.limits = limits;
    return OpenSqliteStore(options);
  }
  mode_t ModeOf(const std::string& path) {
    struct stat info{};
    return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  }

  fabro::testing::TempDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "a" / "b" / "fabro.db";
};

TEST_F(SqliteStoreTest, KeepsItsFilesPrivate) {
  const auto store = Open();
  ASSERT_TRUE(store.ok()) << Describe(store.status());
  EXPECT_EQ(ModeOf(path_.parent_path()), 0700u);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"})
    EXPECT_EQ(ModeOf(path_.string() + suffix), 0600u) << suffix;
}

TEST_F(SqliteStoreTest, ASecondServerIsToldWhoHoldsTheDatabase) {
  auto store = Open();
  ASSERT_TRUE(store.ok());
  const auto second = Open();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(second.status()), Reason::kStorageBusy);
  const std::string message = MessageOf(second.status());
  EXPECT_NE(message.find("process " + std::to_string(getpid()) + " on "), std::string::npos) << message;
  store->reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(SqliteStoreTest, RefusesADatabaseOfANewerProgram) {
  ASSERT_TRUE(Open().ok());
  {
    auto connection = SqliteConnection::Open(path_.string(), SqliteConnection::Role::kWriter);
    ASSERT_TRUE(connection.ok());
    ASSERT_TRUE((*connection)->RunScript("PRAGMA user_version = 99").ok());
  }
  const auto refused = Open();
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(refused.status()).find("schema version 99"), std::string::npos) << refused.status();
}

TEST_F(SqliteStoreTest, TheAuditOnlyGrows) {
  ASSERT_TRUE(Open().ok());
  auto connection = SqliteConnection::Open(path_.string(), SqliteConnection::Role::kWriter);
  ASSERT_TRUE(connection.ok());
  const std::string insert =
      "INSERT INTO audit (at, principal, action, resource, outcome, request_id) VALUES (1, 'a', 'b', 'c', "
      "'ok', '')";
  ASSERT_TRUE((*connection)->RunScript(insert).ok());
  for (const char* harm :
       {"UPDATE audit SET principal = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1"}) {
    const absl::Status refused = (*connection)->RunScript(harm);
    EXPECT_NE(MessageOf(refused).find("the audit only grows"), std::string::npos) << harm << ": " << refused;
  }
}

TEST_F(SqliteStoreTest, SaysThatAFileIsNoDatabase) {
  std::filesystem::create_directories(path_.parent_path());
  std::ofstream(path_) << std::string(5000, 'x');
  const auto refused = Open();
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(refused.status()).find("not a database"), std::string::npos) << refused.status();
}

TEST_F(SqliteStoreTest, SaysThatTheDirectoryCannotBeMade) {
  std::ofstream(directory_.path() / "a") << "a file";
  const auto refused = Open();
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(MessageOf(refused.status()).find((directory_.path() / "a" / "b").string()), std::string::npos)
      << refused.status();
}

TEST_F(SqliteStoreTest, StopsAReadThatTakesTooLong) {
  Runtime runtime(2);
  StoreLimits limits;
  limits.reads.time_limit = std::chrono::milliseconds(0);
  auto store = Open(limits);
  ASSERT_TRUE(store.ok());
  {
    TaskScope scope(runtime.executor());
    auto create = [](Store& s, int n) -> Task<void> {
      WriteBatch batch = Create(n);
      const absl::StatusOr<CommitResult> done = co_await s.Commit(std::move(batch));
      EXPECT_TRUE(done.ok());
    };
    for (int n = 0; n < 3000; ++n) scope.Spawn("create", create(**store, n));
    scope.JoinBlocking();
  }
  const auto all = fabro::testing::RunTask(runtime.executor(), (*store)->ListRuns({}, 3000, 0));
  EXPECT_EQ(all.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(fabro::testing::RunTask(runtime.executor(), (*store)->GetRun(Id(2999))).ok());
}

TEST_F(SqliteStoreTest, KeepsItsLogShortUnderLoad) {
  Runtime runtime(2);
  auto store = Open();
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(fabro::testing::RunTask(runtime.executor(), (*store)->Commit(Create(1))).ok());
  const std::string event(std::size_t{1} << 20, 'x');  // 300 MiB in all
  std::uintmax_t largest = 0;
  for (std::uint64_t head = 0; head < 300; ++head) {
    WriteBatch batch = Append(1, head, event);
    ASSERT_TRUE(fabro::testing::RunTask(runtime.executor(), (*store)->Commit(std::move(batch))).ok());
    largest = std::max(largest, std::filesystem::file_size(path_.string() + "-wal"));
  }
  EXPECT_LT(largest, std::uintmax_t{150} << 20);
}

TEST(Migrator, RunsEachStepOnceAndGoesOnAfterAFailure) {
  fabro::testing::TempDirectory directory;
  const std::string path = directory.path() / "x.db";
  std::ofstream(path).close();
  auto connection = SqliteConnection::Open(path, SqliteConnection::Role::kWriter);
  ASSERT_TRUE(connection.ok()) << Describe(connection.status());
  const std::array<std::string_view, 2> broken{"CREATE TABLE a (x)",
                                               "CREATE TABLE b (x); CREATE TABLE a (y)"};
  const absl::Status failed = Migrator(broken).Run(**connection);
  EXPECT_FALSE(failed.ok());
  EXPECT_NE(MessageOf(failed).find("schema version 2"), std::string::npos) << failed;
  const std::array<std::string_view, 2> mended{"CREATE TABLE a (x)",
                                               "CREATE TABLE b (x); CREATE TABLE c (y)"};
  EXPECT_TRUE(Migrator(mended).Run(**connection).ok());
  EXPECT_TRUE(Migrator(mended).Run(**connection).ok());
  EXPECT_TRUE((*connection)->RunScript("SELECT x FROM b; SELECT y FROM c").ok());
}

// A million parked runs must cost nothing, so no statement that runs in service may walk a table, or the
// entries of an index that it does not give out.
TEST_F(SqliteStoreTest, NoStatementWalksATable) {
  ASSERT_TRUE(Open().ok());
  const std::array statements{
      &sql::kUpdateRunHot,     &sql::kUpdateRun,          &sql::kBefore,
      &sql::kFamily,           &sql::kDeleteEvents,       &sql::kDeleteSnapshot,
      &sql::kDeleteFacts,      &sql::kDeleteRun,          &sql::kForgetExpired,
      &sql::kGetRun,           &sql::kGetSource,          &sql::kGetSnapshot,
      &sql::kReadRecords,      &sql::kReadEvents,         &sql::kPageStatusNewest,
      &sql::kPageStatusOldest, &sql::kPageWorkflowNewest, &sql::kPageWorkflowOldest,
      &sql::kPageParentNewest, &sql::kPageParentOldest,   &sql::kCountWorkflow,
      &sql::kCountParent,      &sql::kRunnable,           &sql::kQueuePosition,
      &sql::kDueTimers,        &sql::kNextWakeAt,         &sql::kGetIdempotent,
      &sql::kForgetCount,      &sql::kAuditOfResource,    &sql::kAuditOfPrincipal,
      &sql::kAuditOfAction,
  };
  for (const Statement* statement : statements) {
    const std::string text = "EXPLAIN QUERY PLAN " + std::string(statement->sql);
    const Statement explain{statement->name, text};
    auto fresh = SqliteConnection::Open(path_.string(), SqliteConnection::Role::kReader);
    ASSERT_TRUE(fresh.ok());
    int steps = 0;
    auto on_row = [&](const SqlRow& row) {
      ++steps;
      const std::string_view step = row.Text(3);
      const bool derived = step == "SCAN p" || step == "SCAN family";  // a page's rows, a family's members
      EXPECT_FALSE(step.starts_with("SCAN") && !derived) << statement->name << ": " << step;
      return true;
    };
    EXPECT_TRUE((*fresh)->Execute(explain, {}, on_row).ok()) << statement->name;
    EXPECT_GT(steps, 0) << statement->name;
  }
}

// --- kill -9

struct Ack {
  int run;
  int head;
};

constexpr int kRuns = 8;

Task<void> WriteForever(Store& store, int n, int pipe) {
  for (int head = 0;; ++head) {
    WriteBatch batch = head == 0 ? Create(n) : Append(n, head - 1, "event " + std::to_string(head));
    const absl::StatusOr<CommitResult> done = co_await store.Commit(std::move(batch));
    const Ack ack{n, head};
    if (!done.ok() || write(pipe, &ack, sizeof ack) != sizeof ack) _exit(3);
  }
}

[[noreturn]] void Serve(const std::filesystem::path& path, int pipe) {
  SqliteOptions options;
  options.path = path;
  auto store = OpenSqliteStore(options);
  if (!store.ok()) _exit(2);
  Runtime runtime(2);
  TaskScope scope(runtime.executor());
  for (int n = 0; n < kRuns; ++n) scope.Spawn("writer", WriteForever(**store, n, pipe));
  scope.JoinBlocking();
  _exit(0);
}

TEST_F(SqliteStoreTest, LosesNothingThatWasAcknowledgedWhenKilled) {
  for (const int kill_after : {1, 50, 400}) {
    path_ = directory_.path() / std::to_string(kill_after) / "fabro.db";
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) Serve(path_, ends[1]);
    close(ends[1]);
    std::map<int, int> acknowledged;
    Ack ack{};
    int count = 0;
    while (read(ends[0], &ack, sizeof ack) == sizeof ack) {
      acknowledged[ack.run] = ack.head;
      if (++count == kill_after) kill(child, SIGKILL);
    }
    close(ends[0]);
    int how = 0;
    ASSERT_EQ(waitpid(child, &how, 0), child);
    EXPECT_TRUE(WIFSIGNALED(how)) << "exit code " << WEXITSTATUS(how);
    EXPECT_GE(count, kill_after);

    Runtime runtime(2);
    auto store = Open();
    ASSERT_TRUE(store.ok()) << Describe(store.status());
    for (const auto& [run, head] : acknowledged) {
      const auto row = fabro::testing::RunTask(runtime.executor(), (*store)->GetRun(Id(run)));
      ASSERT_TRUE(row.ok()) << run;
      EXPECT_GE(ToUint(row->head), static_cast<std::uint64_t>(head)) << run;
      const auto records =
          fabro::testing::RunTask(runtime.executor(), (*store)->ReadRecords(Id(run), {}, {}));
      ASSERT_TRUE(records.ok());
      EXPECT_EQ(records->size(), std::min<std::uint64_t>(ToUint(row->head), 1000)) << run;
      for (const EventRecord& record : *records) {
        EXPECT_EQ(record.event, "event " + std::to_string(ToUint(record.seq)));
      }
    }
  }
}

}  // namespace
}  // namespace fabro::storage::sqlite
