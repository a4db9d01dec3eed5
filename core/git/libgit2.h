// libgit2 for the .cc files of this folder: handles that free themselves, and errors as Status.
#pragma once

#include <git2.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/git/stop.h"

namespace fabro::git {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using RepositoryHandle = std::unique_ptr<git_repository, Freer<git_repository_free>>;
using WorktreeHandle = std::unique_ptr<git_worktree, Freer<git_worktree_free>>;
using ReferenceHandle = std::unique_ptr<git_reference, Freer<git_reference_free>>;
using IteratorHandle = std::unique_ptr<git_reference_iterator, Freer<git_reference_iterator_free>>;
using ObjectHandle = std::unique_ptr<git_object, Freer<git_object_free>>;
using CommitHandle = std::unique_ptr<git_commit, Freer<git_commit_free>>;
using TreeHandle = std::unique_ptr<git_tree, Freer<git_tree_free>>;
using EntryHandle = std::unique_ptr<git_tree_entry, Freer<git_tree_entry_free>>;
using BlobHandle = std::unique_ptr<git_blob, Freer<git_blob_free>>;
using IndexHandle = std::unique_ptr<git_index, Freer<git_index_free>>;
using DiffHandle = std::unique_ptr<git_diff, Freer<git_diff_free>>;
using SignatureHandle = std::unique_ptr<git_signature, Freer<git_signature_free>>;

// Where a libgit2 call puts what it makes: git_x_lookup(Out(handle), ...).
template <typename Handle>
class Out {
 public:
  explicit Out(Handle& handle) : handle_(handle) {}
  ~Out() { handle_.reset(made_); }
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  operator typename Handle::pointer *() { return &made_; }  // NOLINT(google-explicit-constructor)

 private:
  Handle& handle_;
  typename Handle::pointer made_ = nullptr;
};

// What a failed call says: "making the worktree X: <libgit2's message>". Unavailable when another program
// holds a lock, Cancelled when one of our callbacks stopped it.
absl::Status Failed(int code, std::string_view doing);

// The repository whose git folder or working tree this is; not looked for further up.
absl::StatusOr<RepositoryHandle> Open(const std::string& path);

absl::StatusOr<CommitHandle> FindCommit(git_repository* repository, const std::string& sha);
absl::StatusOr<TreeHandle> TreeOf(const git_commit* commit);
std::string TextOf(const git_oid* id);

// A path that libgit2 hands to a callback between two files.
int StopAtFile(const void* stop);  // what the callback returns: 0 or GIT_EUSER

}  // namespace fabro::git
