#include "core/config/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::config {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return ErrnoError(errno, StrCat("reading ", path));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return ErrnoError(errno, StrCat("reading ", path));
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument(Reason::kInvalidArgument, path, StrCat("reading ", path, ": not a regular file"));
  }
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t n = ::read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, StrCat("reading ", path));
    if (n == 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > max_bytes) {
      return InvalidArgument(Reason::kInvalidArgument, path,
                             StrCat("reading ", path, ": longer than ", max_bytes, " bytes"));
    }
  }
}

}  // namespace fabro::config
