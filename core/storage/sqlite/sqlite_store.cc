#include "core/storage/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/storage/sqlite/checkpointer.h"
#include "core/storage/sqlite/directory_lock.h"
#include "core/storage/sqlite/migrations.h"
#include "core/storage/sqlite/migrator.h"
#include "core/storage/sqlite/sqlite_connection.h"

namespace fabro::storage::sqlite {
namespace {

namespace fs = std::filesystem;

// A new name survives a power cut only after this.
absl::Status SyncDirectory(const fs::path& directory) {
  const int file = open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return ErrnoError(errno, "opening " + directory.string());
  const bool synced = fsync(file) == 0;
  const int error = errno;
  close(file);
  return synced ? absl::OkStatus() : ErrnoError(error, "syncing " + directory.string());
}

absl::Status MakeDirectory(const fs::path& directory) {
  if (directory.empty()) return absl::OkStatus();
  std::error_code error;
  if (fs::is_directory(directory, error)) return absl::OkStatus();
  FABRO_RETURN_IF_ERROR(MakeDirectory(directory.parent_path()));
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, "making the directory " + directory.string());
  }
  return SyncDirectory(directory.parent_path());
}

// SQLite gives its log and its index the mode of the database file, so that one is made here.
absl::Status MakePrivateFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return Annotate(ErrnoError(errno, "opening " + path), "the database cannot be written");
  const bool made_private = fchmod(file, 0600) == 0;
  const int error = errno;
  close(file);
  return made_private ? absl::OkStatus() : ErrnoError(error, "setting the mode of " + path);
}

// What lives as long as the connections; the lock goes last.
struct Premises {
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<Checkpointer> checkpointer;
};

ConnectionFactory MakeFactory(const SqliteOptions& options, SqliteConnection::Role role,
                              Checkpointer* checkpointer) {
  return [path = options.path.string(), wrap = options.wrap, role,
          checkpointer]() -> absl::StatusOr<std::unique_ptr<SqlConnection>> {
    FABRO_ASSIGN_OR_RETURN(std::unique_ptr<SqlConnection> connection,
                           SqliteConnection::Open(path, role, checkpointer));
    if (wrap) return wrap(std::move(connection));
    return connection;
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(SqliteOptions options) {
  const std::string path = options.path.string();
  auto premises = std::make_shared<Premises>();
  FABRO_RETURN_IF_ERROR(MakeDirectory(options.path.parent_path()));
  FABRO_ASSIGN_OR_RETURN(premises->lock, DirectoryLock::Take(path + ".lock"));
  FABRO_RETURN_IF_ERROR(MakePrivateFile(path));
  {
    FABRO_ASSIGN_OR_RETURN(const std::unique_ptr<SqliteConnection> connection,
                           SqliteConnection::Open(path, SqliteConnection::Role::kWriter));
    FABRO_RETURN_IF_ERROR(Migrator(kMigrations).Run(*connection));
  }
  // Before the writer opens: that empties the log, and wants to be alone for it.
  FABRO_ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> copier,
                         SqliteConnection::Open(path, SqliteConnection::Role::kCheckpointer));
  premises->checkpointer = std::make_unique<Checkpointer>(path, std::move(copier));
  Checkpointer* checkpointer = premises->checkpointer.get();
  return MakeSqlStore(MakeFactory(options, SqliteConnection::Role::kWriter, checkpointer),
                      MakeFactory(options, SqliteConnection::Role::kReader, nullptr), options.limits,
                      std::move(premises));
}

}  // namespace fabro::storage::sqlite
