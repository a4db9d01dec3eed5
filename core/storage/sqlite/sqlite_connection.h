// One connection to an SQLite database. The only place that knows sqlite3.h.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "core/storage/sql_connection.h"

namespace fabro::storage::sqlite {

class Checkpointer;

class SqliteConnection final : public SqlConnection {
 public:
  enum class Role {
    kWriter,        // transactions take the write lock at once
    kReader,        // may not write
    kCheckpointer,  // a writer that also copies the log
  };

  // The file must exist. A writer has checked that the write-ahead log is sound: what was in it is in the
  // database. Unavailable + kStorageFailed: cannot be opened, or read-only. `checkpointer` (for a writer, may
  // be null) outlives it.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& path, Role role,
                                                                Checkpointer* checkpointer = nullptr);
  ~SqliteConnection() override;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  absl::StatusOr<std::int64_t> Execute(const Statement& statement, std::initializer_list<SqlValue> values,
                                       const OnRow& on_row) override;
  absl::Status Begin() override;
  absl::Status Commit() override;
  void Rollback() override;
  void SetDeadline(Deadline deadline) override;

  absl::Status RunScript(const std::string& sql);  // several statements without parameters; for migrations

  enum class CheckpointMode {
    kPassive,   // as much as goes without waiting for anybody
    kTruncate,  // everything; waits for readers, then empties the log
  };
  // Copies the log into the database. Returns how many pages of the log are left to copy.
  absl::StatusOr<int> Checkpoint(CheckpointMode mode);

 private:
  struct Impl;
  explicit SqliteConnection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabro::storage::sqlite
