#include "core/git/libgit2.h"

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::git {
namespace {

// Once for the program. What a commit consists of is on the disk before anyone is told its name.
int StartLibrary() {
  const int started = git_libgit2_init();
  git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
  return started;
}

absl::StatusCode CodeOf(int code) {
  switch (code) {
    case GIT_EUSER:
      return absl::StatusCode::kCancelled;
    case GIT_ELOCKED:
      return absl::StatusCode::kUnavailable;
    case GIT_ENOTFOUND:
      return absl::StatusCode::kNotFound;
    case GIT_EEXISTS:
      return absl::StatusCode::kAlreadyExists;
    case GIT_EOWNER:
    case GIT_EUNBORNBRANCH:
    case GIT_EINVALIDSPEC:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

Reason ReasonFor(absl::StatusCode code) {
  if (code == absl::StatusCode::kNotFound) return Reason::kNotFound;
  return code == absl::StatusCode::kCancelled ? Reason::kUnspecified : Reason::kUpstream;
}

}  // namespace

absl::Status Failed(int code, std::string_view doing) {
  const git_error* last = git_error_last();
  std::string message = StrCat(doing, ": ", last == nullptr ? "git gives no reason" : last->message);
  if (code == GIT_EUSER) message = StrCat(doing, ": stopped");
  if (code == GIT_EOWNER) {
    message += "; the server's user may allow it with git config --global --add safe.directory FOLDER";
  }
  const absl::StatusCode status = CodeOf(code);
  return Error(status, ReasonFor(status), "", message);
}

absl::StatusOr<RepositoryHandle> Open(const std::string& path) {
  static const int kStarted = StartLibrary();
  if (kStarted < 0) return Failed(kStarted, "starting libgit2");
  RepositoryHandle repository;
  const int code =
      git_repository_open_ext(Out(repository), path.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
  if (code < 0) return Failed(code, StrCat("opening the git repository ", path));
  return repository;
}

absl::StatusOr<CommitHandle> FindCommit(git_repository* repository, const std::string& sha) {
  const std::string doing =
      StrCat("looking for the commit ", sha, " in ", git_repository_commondir(repository));
  git_oid id;
  int code = git_oid_fromstr(&id, sha.c_str());
  if (code < 0) return Failed(code, doing);
  CommitHandle commit;
  code = git_commit_lookup(Out(commit), repository, &id);
  if (code < 0) return Failed(code, doing);
  return commit;
}

absl::StatusOr<TreeHandle> TreeOf(const git_commit* commit) {
  TreeHandle tree;
  const int code = git_commit_tree(Out(tree), commit);
  if (code < 0) return Failed(code, StrCat("reading the files of commit ", TextOf(git_commit_id(commit))));
  return tree;
}

std::string TextOf(const git_oid* id) {
  std::string text(GIT_OID_HEXSZ, '0');
  git_oid_fmt(text.data(), id);
  return text;
}

int StopAtFile(const void* stop) { return static_cast<const Stop*>(stop)->asked() ? GIT_EUSER : 0; }

}  // namespace fabro::git
