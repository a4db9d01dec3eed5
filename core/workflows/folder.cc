#include "core/workflows/folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::workflows {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { Reset(-1); }
  void Reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Part by part without following a link: for kernels that cannot look for links that lead out.
int OpenWithoutLinks(int folder, const std::string& path, int flags) {
  if (path.starts_with('/')) return errno = EXDEV, -1;
  std::vector<std::string> parts;
  for (const std::string_view part : Split(path, '/')) {
    if (part == "..") return errno = EXDEV, -1;
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  if (parts.empty()) return ::openat(folder, ".", flags);
  Descriptor at(::dup(folder));
  for (std::size_t i = 0; i + 1 < parts.size() && at.get() >= 0; ++i) {
    at.Reset(::openat(at.get(), parts[i].c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at.get() < 0 ? -1 : ::openat(at.get(), parts.back().c_str(), flags | O_NOFOLLOW);
}

int OpenBeneath(int folder, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(fd);
  return OpenWithoutLinks(folder, path, flags);
}

absl::Status Refusal(int error, const std::string& path) {
  if (error == EXDEV || error == ELOOP)
    return InvalidArgument(Reason::kInvalidArgument, path,
                           StrCat(path, " lies outside of the workflow's folder"));
  return ErrnoError(error, StrCat("reading ", path));
}

}  // namespace

Stamp StampOf(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {true, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_size, info.st_ino};
}

absl::StatusOr<Folder> Folder::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, StrCat("reading ", path));
  return Folder(fd);
}

Folder::Folder(Folder&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Folder::~Folder() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<Folder> Folder::OpenBelow(const std::string& name) const {
  const int fd = OpenBeneath(fd_, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Refusal(errno, name);
  return Folder(fd);
}

absl::StatusOr<std::string> Folder::Read(const std::string& path, std::size_t max_bytes) const {
  // A zero byte would end the name early; O_NONBLOCK: opening a FIFO must not wait for its writer.
  if (path.empty() || path.find('\0') != std::string::npos) return Refusal(ENOENT, JsonString(path));
  const Descriptor file(OpenBeneath(fd_, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return Refusal(errno, path);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return Refusal(errno, path);
  if (!S_ISREG(info.st_mode))
    return InvalidArgument(Reason::kInvalidArgument, path, StrCat(path, " is not a regular file"));
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Refusal(errno, path);
    if (n == 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > max_bytes) {
      return InvalidArgument(Reason::kInvalidArgument, path,
                             StrCat(path, " is longer than ", max_bytes, " bytes"));
    }
  }
  if (!IsValidUtf8(text))
    return InvalidArgument(Reason::kInvalidArgument, path, StrCat(path, " is no UTF-8 text"));
  return text;
}

}  // namespace fabro::workflows
