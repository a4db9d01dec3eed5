// One server per database: an advisory lock that names its holder.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace fabro::storage::sqlite {

// Held until destroyed; the system lets go of it when the process dies, however it dies.
class DirectoryLock {
 public:
  // Creates the file (0600). FailedPrecondition + kStorageBusy tells which process holds it.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& path);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int file) : file_(file) {}
  const int file_;
};

}  // namespace fabro::storage::sqlite
