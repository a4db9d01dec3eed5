// Brings a database to the schema of this program.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "core/storage/sqlite/sqlite_connection.h"

namespace fabro::storage::sqlite {

// Runs the steps that the database lacks, each in a transaction of its own together with its number, so that
// a crash between two leaves a database that the next start goes on with.
class Migrator {
 public:
  explicit Migrator(std::span<const std::string_view> steps) : steps_(steps) {}

  // FailedPrecondition + kStorageFailed if the database has had more steps than this program knows.
  absl::Status Run(SqliteConnection& connection) const;

 private:
  std::span<const std::string_view> steps_;
};

}  // namespace fabro::storage::sqlite
