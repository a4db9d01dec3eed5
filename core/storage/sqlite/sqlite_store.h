// The store in one SQLite file.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "core/storage/sql_store.h"

namespace fabro::storage::sqlite {

struct SqliteOptions {
  // The database file. Its directory is made if need be (0700, as are the parents that are missing).
  std::filesystem::path path;
  StoreLimits limits;
  // Stands between the store and each connection, if set: for faults in tests, or tracing.
  std::function<std::unique_ptr<SqlConnection>(std::unique_ptr<SqlConnection>)> wrap;
};

// FailedPrecondition + kStorageBusy: another server holds the database; the message names it.
// FailedPrecondition + kStorageFailed: written by a newer program. Unavailable + kStorageFailed: cannot be
// written.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(SqliteOptions options);

}  // namespace fabro::storage::sqlite
