// The files that differ between two commits, a page at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/git/stop.h"

namespace fabro::git {

// Why a file's text is not there.
enum class Omission : std::uint8_t { kNone, kBinary, kTooLarge };

struct FileSide {
  std::string path;  // from the repository's root, bytes of any kind; empty: no such file on this side
  std::string text;  // UTF-8; of a symbolic link its target, of a submodule its commit
  Omission omitted = Omission::kNone;
};
struct FileChange {
  FileSide before;
  FileSide after;
};
struct DiffPage {
  std::vector<FileChange> files;
  bool has_more = false;
};

struct DiffBounds {
  std::size_t file_bytes = 1 << 20;  // a larger text is omitted
  std::size_t page_bytes = 8 << 20;  // so are those after which the page would have more
};

// `limit` files after `offset`, by path. A file that was moved is gone in one place and new in another. What
// is passed over is not read.
absl::StatusOr<DiffPage> Diff(const std::string& repository, const std::string& older,
                              const std::string& newer, std::size_t offset, std::size_t limit,
                              const DiffBounds& bounds, const Stop& stop);

}  // namespace fabro::git
