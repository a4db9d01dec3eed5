#include "core/git/diff.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/git/libgit2.h"

namespace fabro::git {
namespace {

struct Paging {
  const Stop& stop;
  std::size_t from;
  std::size_t to;
  std::size_t seen = 0;
};

int KeepPage(const git_diff*, const git_diff_delta*, const char*, void* payload) {
  auto* paging = static_cast<Paging*>(payload);
  if (paging->stop.asked()) return GIT_EUSER;
  const std::size_t at = paging->seen++;
  return at >= paging->from && at < paging->to ? 0 : 1;
}

class Reader {
 public:
  Reader(git_repository* repository, const DiffBounds& bounds) : repository_(repository), bounds_(bounds) {}

  absl::StatusOr<FileSide> Read(const git_diff_file& file) {
    FileSide side;
    if ((file.flags & GIT_DIFF_FLAG_EXISTS) == 0 || file.mode == GIT_FILEMODE_UNREADABLE) return side;
    side.path = file.path;
    if (file.mode == GIT_FILEMODE_COMMIT) {
      side.text = StrCat("Subproject commit ", TextOf(&file.id), "\n");
      return side;
    }
    BlobHandle blob;
    const int code = git_blob_lookup(Out(blob), repository_, &file.id);
    if (code < 0) return Failed(code, StrCat("reading ", side.path));
    const auto size = static_cast<std::size_t>(git_blob_rawsize(blob.get()));
    if (size > bounds_.file_bytes || size > bounds_.page_bytes - used_) {
      side.omitted = Omission::kTooLarge;
      return side;
    }
    const std::string_view text(static_cast<const char*>(git_blob_rawcontent(blob.get())), size);
    if (text.find('\0') != std::string_view::npos || !IsValidUtf8(text)) {
      side.omitted = Omission::kBinary;
      return side;
    }
    used_ += size;
    side.text = text;
    return side;
  }

 private:
  git_repository* const repository_;
  const DiffBounds bounds_;
  std::size_t used_ = 0;
};

}  // namespace

absl::StatusOr<DiffPage> Diff(const std::string& repository, const std::string& older,
                              const std::string& newer, std::size_t offset, std::size_t limit,
                              const DiffBounds& bounds, const Stop& stop) {
  DiffPage page;
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle opened, Open(repository));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle before, FindCommit(opened.get(), older));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle after, FindCommit(opened.get(), newer));
  FABRO_ASSIGN_OR_RETURN(const TreeHandle old_tree, TreeOf(before.get()));
  FABRO_ASSIGN_OR_RETURN(const TreeHandle new_tree, TreeOf(after.get()));
  Paging paging{.stop = stop, .from = offset, .to = offset + limit};
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags = GIT_DIFF_INCLUDE_TYPECHANGE;
  options.notify_cb = KeepPage;
  options.payload = &paging;
  DiffHandle diff;
  const int code = git_diff_tree_to_tree(Out(diff), opened.get(), old_tree.get(), new_tree.get(), &options);
  if (code < 0) return Failed(code, StrCat("comparing ", older, " with ", newer));
  page.has_more = paging.seen > paging.to;
  Reader reader(opened.get(), bounds);
  for (std::size_t i = 0; i < git_diff_num_deltas(diff.get()); ++i) {
    if (stop.asked()) return Cancelled("stopped while reading files");
    const git_diff_delta* delta = git_diff_get_delta(diff.get(), i);
    FileChange change;
    FABRO_ASSIGN_OR_RETURN(change.before, reader.Read(delta->old_file));
    FABRO_ASSIGN_OR_RETURN(change.after, reader.Read(delta->new_file));
    page.files.push_back(std::move(change));
  }
  return page;
}

}  // namespace fabro::git
