// A folder that files are read from, and never a file outside of it, whatever links say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fabro::workflows {

// What of a file tells that it has changed.
struct Stamp {
  bool exists = false;
  std::int64_t mtime_ns = 0;
  std::int64_t size = 0;
  std::uint64_t inode = 0;

  bool operator==(const Stamp&) const = default;
};
Stamp StampOf(const std::string& path);

// Blocking. The folder itself may be reached by a link; within it a link may lead anywhere but out.
class Folder {
 public:
  static absl::StatusOr<Folder> Open(const std::string& path);
  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&&) = delete;
  ~Folder();

  // A folder within this one.
  absl::StatusOr<Folder> OpenBelow(const std::string& name) const;

  // A text of at most max_bytes. NotFound when it is not there; InvalidArgument when it is no regular file,
  // lies outside, is too long or is no UTF-8.
  absl::StatusOr<std::string> Read(const std::string& path, std::size_t max_bytes) const;

 private:
  explicit Folder(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace fabro::workflows
