#include "core/storage/sqlite/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::storage::sqlite {
namespace {

std::string Myself() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return StrCat("process ", static_cast<long>(getpid()), " on ", std::string_view(host.data()));
}

absl::Status Busy(int file, const std::string& path) {
  std::array<char, 512> holder{};
  const ssize_t size = pread(file, holder.data(), holder.size(), 0);
  const std::string_view text =
      Trim(std::string_view(holder.data(), size > 0 ? static_cast<std::size_t>(size) : 0));
  return FailedPrecondition(Reason::kStorageBusy, path,
                            StrCat("another server uses this storage directory: ",
                                   text.empty() ? "unknown process" : text, " holds ", path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Take(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return ErrnoError(errno, "opening " + path);
  std::unique_ptr<DirectoryLock> lock(new DirectoryLock(file));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Busy(file, path);
    return ErrnoError(errno, "locking " + path);
  }
  const std::string holder = Myself() + "\n";
  if (ftruncate(file, 0) != 0 || pwrite(file, holder.data(), holder.size(), 0) < 0) {
    return ErrnoError(errno, "writing " + path);
  }
  return lock;
}

// The name stays in the file: removing the file could take a lock away from whoever opened it in between.
DirectoryLock::~DirectoryLock() { close(file_); }

}  // namespace fabro::storage::sqlite
