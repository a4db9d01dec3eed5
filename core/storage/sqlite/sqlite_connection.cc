#include "core/storage/sqlite/sqlite_connection.h"

#include <sqlite3.h>

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/storage/sqlite/checkpointer.h"

namespace fabro::storage::sqlite {
namespace {

constexpr int kBusyMilliseconds = 5000;
constexpr int kStepsBetweenDeadlineChecks = 5000;  // of SQLite's virtual machine: about 0.1 ms

constexpr Statement kBegin{"begin", "BEGIN"};
constexpr Statement kBeginWrite{"begin", "BEGIN IMMEDIATE"};
constexpr Statement kCommit{"commit", "COMMIT"};
constexpr Statement kRollback{"roll back", "ROLLBACK"};

// SQLite counts every allocation under one global lock unless told not to before its first use.
void ConfigureOnce() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

absl::Status ToStatus(int code, const std::string& message) {
  switch (code & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return Unavailable(Reason::kStorageFailed, "", message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(absl::StatusCode::kDataLoss, Reason::kStorageFailed, "",
                   StrCat(message,
                          ". It is damaged, or no database of Fabro: put a backup in its place, or move it "
                          "away to begin with an empty one"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Unavailable(Reason::kStorageBusy, "", message);
    case SQLITE_INTERRUPT:
      return Error(absl::StatusCode::kDeadlineExceeded, Reason::kLimit, "", "the read took too long");
    default:
      return Internal(message);
  }
}

class Row final : public SqlRow {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  bool IsNull(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t Int(int column) const override { return sqlite3_column_int64(statement_, column); }
  std::string_view Text(int column) const override { return Bytes(column); }
  std::string_view Bytes(int column) const override {
    // The pointer first: asking for the size first may convert the value.
    const void* bytes = sqlite3_column_blob(statement_, column);
    return {static_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* const statement_;
};

int Bind(sqlite3_stmt* statement, int slot, const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value))
    return sqlite3_bind_int64(statement, slot, *number);
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    const char* data = text->data() == nullptr ? "" : text->data();  // a null pointer would bind NULL
    return sqlite3_bind_text64(statement, slot, data, text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<Blob>(&value)) {
    const char* data = blob->bytes.data() == nullptr ? "" : blob->bytes.data();
    return sqlite3_bind_blob64(statement, slot, data, blob->bytes.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, slot);
}

}  // namespace

struct SqliteConnection::Impl {
  struct Prepared {
    sqlite3_stmt* statement = nullptr;
    std::vector<int> slots;  // SQLite's index of $1, $2 ...; 0 for one that the statement does not use
  };

  ~Impl() {
    for (auto& [unused, prepared] : statements) sqlite3_finalize(prepared.statement);
    sqlite3_close(db);
  }

  std::string Message(std::string_view doing) const {
    return StrCat("SQLite, ", doing, ": ", db == nullptr ? "out of memory" : sqlite3_errmsg(db), " (", path,
                  ")");
  }
  absl::Status Status(int code, std::string_view doing) const {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return absl::OkStatus();
    return ToStatus(code, Message(doing));
  }

  absl::StatusOr<Prepared*> Prepare(const Statement& statement, std::size_t parameters) {
    Prepared& prepared = statements[&statement];
    if (prepared.statement != nullptr) return &prepared;
    const int code = sqlite3_prepare_v3(db, statement.sql.data(), static_cast<int>(statement.sql.size()) + 1,
                                        SQLITE_PREPARE_PERSISTENT, &prepared.statement, nullptr);
    if (code != SQLITE_OK) return Status(code, statement.name);
    for (std::size_t i = 1; i <= parameters; ++i) {
      prepared.slots.push_back(sqlite3_bind_parameter_index(prepared.statement, StrCat("$", i).c_str()));
    }
    return &prepared;
  }

  std::string path;
  Role role = Role::kReader;
  Checkpointer* checkpointer = nullptr;
  sqlite3* db = nullptr;
  std::unordered_map<const Statement*, Prepared> statements;
  Deadline deadline = Deadline::Never();
};

SqliteConnection::SqliteConnection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteConnection::~SqliteConnection() = default;

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const std::string& path, Role role,
                                                                         Checkpointer* checkpointer) {
  ConfigureOnce();
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->role = role;
  impl->checkpointer = checkpointer;
  // One thread at a time uses a connection, so SQLite need not lock.
  const int code =
      sqlite3_open_v2(path.c_str(), &impl->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return impl->Status(code, "opening");
  sqlite3_extended_result_codes(impl->db, 1);
  if (sqlite3_db_readonly(impl->db, "main") != 0) {
    return Unavailable(Reason::kStorageFailed, path, path + " is read-only");
  }
  sqlite3_busy_timeout(impl->db, kBusyMilliseconds);
  auto connection = std::unique_ptr<SqliteConnection>(new SqliteConnection(std::move(impl)));
  FABRO_RETURN_IF_ERROR(
      connection->RunScript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint "
                            "= 0; PRAGMA foreign_keys = OFF; "
                            "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;"));
  FABRO_RETURN_IF_ERROR(connection->RunScript(role == Role::kWriter ? "PRAGMA cache_size = -16384;"
                                                                    : "PRAGMA cache_size = -4096;"));
  if (role == Role::kReader) FABRO_RETURN_IF_ERROR(connection->RunScript("PRAGMA query_only = ON;"));
  if (role != Role::kWriter) return connection;
  // After a failed fsync the kernel may hold pages of the log that never reach the disk, and commits appended
  // behind them would be lost with them. So whatever is in the log goes into the database, with its own
  // fsync, first.
  FABRO_RETURN_IF_ERROR(connection->Checkpoint(CheckpointMode::kTruncate).status());
  if (checkpointer != nullptr) {
    sqlite3_wal_hook(
        connection->impl_->db,
        [](void* target, sqlite3*, const char*, int pages) {
          static_cast<Checkpointer*>(target)->OnCommit(pages);
          return SQLITE_OK;
        },
        checkpointer);
  }
  return connection;
}

absl::StatusOr<std::int64_t> SqliteConnection::Execute(const Statement& statement,
                                                       std::initializer_list<SqlValue> values,
                                                       const OnRow& on_row) {
  FABRO_ASSIGN_OR_RETURN(Impl::Prepared * prepared, impl_->Prepare(statement, values.size()));
  sqlite3_stmt* const handle = prepared->statement;
  const int* slot = prepared->slots.data();
  for (const SqlValue& value : values) {
    const int at = *slot++;
    const int code = at == 0 ? SQLITE_OK : Bind(handle, at, value);
    if (code != SQLITE_OK) return impl_->Status(code, statement.name);
  }
  int code = SQLITE_OK;
  const Row row(handle);
  while ((code = sqlite3_step(handle)) == SQLITE_ROW) {
    if (on_row == nullptr || !on_row(row)) break;
  }
  absl::Status status = impl_->Status(code, statement.name);
  const std::int64_t changes = status.ok() ? sqlite3_changes64(impl_->db) : 0;
  sqlite3_reset(handle);  // repeats the error of step
  if (!status.ok()) return status;
  return changes;
}

absl::Status SqliteConnection::Begin() {
  if (impl_->role == Role::kReader) return Execute(kBegin, {}, nullptr).status();
  if (impl_->checkpointer != nullptr) impl_->checkpointer->Tidy(*this);
  return Execute(kBeginWrite, {}, nullptr).status();
}

absl::Status SqliteConnection::Commit() {
  const absl::Status status = Execute(kCommit, {}, nullptr).status();
  if (status.ok()) return status;
  // A full disk stops the log before its commit mark, and a lock that was not had before anything. After any
  // other error the mark may be in the file and not on the disk, or the other way round.
  const int code = sqlite3_errcode(impl_->db) & 0xFF;
  if (code == SQLITE_FULL || code == SQLITE_BUSY || code == SQLITE_READONLY) return status;
  return Unavailable(Reason::kOutcomeUnknown, "", MessageOf(status));
}

void SqliteConnection::Rollback() {
  if (sqlite3_get_autocommit(impl_->db) != 0) return;
  Execute(kRollback, {}, nullptr)
      .status()
      .IgnoreError();  // SQLite has rolled back even if it reports an error
}

void SqliteConnection::SetDeadline(Deadline deadline) {
  impl_->deadline = deadline;
  if (deadline.is_never()) return sqlite3_progress_handler(impl_->db, 0, nullptr, nullptr);
  sqlite3_progress_handler(
      impl_->db, kStepsBetweenDeadlineChecks,
      [](void* target) { return static_cast<Deadline*>(target)->passed() ? 1 : 0; }, &impl_->deadline);
}

absl::Status SqliteConnection::RunScript(const std::string& sql) {
  return impl_->Status(sqlite3_exec(impl_->db, sql.c_str(), nullptr, nullptr, nullptr), "setting up");
}

absl::StatusOr<int> SqliteConnection::Checkpoint(CheckpointMode mode) {
  int in_log = 0;
  int copied = 0;
  const int code = sqlite3_wal_checkpoint_v2(
      impl_->db, nullptr,
      mode == CheckpointMode::kPassive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE, &in_log,
      &copied);
  if (code != SQLITE_OK) return impl_->Status(code, "checkpointing");
  return in_log - copied;
}

}  // namespace fabro::storage::sqlite
