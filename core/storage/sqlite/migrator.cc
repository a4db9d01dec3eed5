#include "core/storage/sqlite/migrator.h"

#include <string>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::storage::sqlite {
namespace {

constexpr Statement kVersion{"read schema version", "PRAGMA user_version"};

}  // namespace

absl::Status Migrator::Run(SqliteConnection& connection) const {
  std::int64_t version = 0;
  auto on_row = [&](const SqlRow& row) {
    version = row.Int(0);
    return false;
  };
  FABRO_RETURN_IF_ERROR(connection.Execute(kVersion, {}, on_row).status());
  if (version < 0 || static_cast<std::size_t>(version) > steps_.size()) {
    return FailedPrecondition(
        Reason::kStorageFailed, "",
        StrCat("the database has schema version ", version, "; this program knows only up to ", steps_.size(),
               ": use the newer program that wrote it"));
  }
  for (std::size_t step = static_cast<std::size_t>(version); step < steps_.size(); ++step) {
    FABRO_RETURN_IF_ERROR(connection.Begin());
    absl::Status status = connection.RunScript(std::string(steps_[step]));
    if (status.ok()) status = connection.RunScript(StrCat("PRAGMA user_version = ", step + 1));
    if (status.ok()) status = connection.Commit();
    if (!status.ok()) {
      connection.Rollback();
      return Annotate(status, StrCat("bringing the database to schema version ", step + 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace fabro::storage::sqlite
