#include "core/git/worktree.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/git/libgit2.h"
#include "core/git/repository.h"

namespace fabro::git {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAuthorName = "Fabro";
constexpr const char* kAuthorEmail = "fabro@localhost";

// A repository's list of worktrees is a folder that libgit2 reads through whenever it makes one: none may be
// there in part meanwhile. Held for the time of a few small files.
Mutex list_of_worktrees;

std::string GitFolderOf(const Worktree& worktree) {
  return StrCat(worktree.repository, "/worktrees/", worktree.name);
}

std::string ReferenceOf(const Worktree& worktree) { return StrCat("refs/heads/", worktree.branch); }

// Opens the worktree by what the repository knows of it, never by what is in its folder: there a stage may
// have written a .git that leads elsewhere.
absl::StatusOr<RepositoryHandle> OpenWorktree(const Worktree& worktree) {
  FABRO_ASSIGN_OR_RETURN(RepositoryHandle repository, Open(GitFolderOf(worktree)));
  // Setting the one that is set already makes libgit2 1.5 lose the memory of its path.
  const char* known = git_repository_workdir(repository.get());
  if (known != nullptr && known == StrCat(worktree.path, "/")) return repository;
  const int code = git_repository_set_workdir(repository.get(), worktree.path.c_str(), 0);
  if (code < 0) return Failed(code, StrCat("opening the worktree ", worktree.path));
  return repository;
}

// Opens what the stages made too, folders without the right to write included.
void MakeRemovable(const std::string& folder) {
  std::error_code ignored;
  fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add, ignored);
  for (fs::recursive_directory_iterator at(folder, ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    if (at->is_symlink(ignored) || !at->is_directory(ignored)) continue;
    fs::permissions(at->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
  }
}

void RemoveLocks(const Worktree& worktree) {
  std::error_code ignored;
  for (const char* lock : {"/index.lock", "/HEAD.lock"}) fs::remove(GitFolderOf(worktree) + lock, ignored);
  fs::remove(StrCat(worktree.repository, "/", ReferenceOf(worktree), ".lock"), ignored);
}

absl::Status AddBranch(git_repository* repository, const Worktree& worktree, const std::string& start_sha) {
  git_oid id;
  const int found = git_reference_name_to_id(&id, repository, ReferenceOf(worktree).c_str());
  if (found == 0) return absl::OkStatus();
  const std::string doing = StrCat("making the branch ", worktree.branch, " in ", worktree.repository);
  if (found != GIT_ENOTFOUND) return Failed(found, doing);
  FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, FindCommit(repository, start_sha));
  ReferenceHandle branch;
  const int code = git_branch_create(Out(branch), repository, worktree.branch.c_str(), commit.get(), 0);
  return code < 0 ? Failed(code, doing) : absl::OkStatus();
}

bool IsWhole(git_repository* repository, const Worktree& worktree) {
  WorktreeHandle found;
  if (git_worktree_lookup(Out(found), repository, worktree.name.c_str()) != 0) return false;
  std::error_code failed;
  return git_worktree_validate(found.get()) == 0 &&
         fs::equivalent(git_worktree_path(found.get()), worktree.path, failed);
}

// Everything but its files.
absl::Status AddWorktree(git_repository* repository, const Worktree& worktree) {
  const std::string doing = StrCat("making the worktree ", worktree.path, " of ", worktree.repository);
  FABRO_RETURN_IF_ERROR(RemoveFolder(worktree.path));
  FABRO_RETURN_IF_ERROR(RemoveFolder(GitFolderOf(worktree)));
  std::error_code failed;
  fs::create_directories(fs::path(worktree.path).parent_path(), failed);
  if (failed) return ErrnoError(failed.value(), doing);
  ReferenceHandle branch;
  int code = git_reference_lookup(Out(branch), repository, ReferenceOf(worktree).c_str());
  if (code < 0) return Failed(code, doing);
  git_worktree_add_options options = GIT_WORKTREE_ADD_OPTIONS_INIT;
  options.ref = branch.get();
  options.checkout_options.checkout_strategy = GIT_CHECKOUT_NONE | GIT_CHECKOUT_DONT_UPDATE_INDEX;
  WorktreeHandle made;
  code = git_worktree_add(Out(made), repository, worktree.name.c_str(), worktree.path.c_str(), &options);
  return code < 0 ? Failed(code, doing) : absl::OkStatus();
}

// For the git programs of stages.
absl::Status LinkFolder(const Worktree& worktree) {
  const std::string link = worktree.path + "/.git";
  const std::string wanted = StrCat("gitdir: ", GitFolderOf(worktree), "\n");
  std::error_code failed;
  if (fs::symlink_status(link, failed).type() == fs::file_type::regular) {
    std::ifstream in(link);
    const std::string found{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (found == wanted) return absl::OkStatus();
  }
  FABRO_RETURN_IF_ERROR(RemoveFolder(link));
  std::ofstream out(link);
  out << wanted << std::flush;
  return out ? absl::OkStatus() : ErrnoError(errno, StrCat("writing ", link));
}

int StopCheckout(git_checkout_notify_t, const char*, const git_diff_file*, const git_diff_file*,
                 const git_diff_file*, void* payload) {
  return StopAtFile(payload);
}

struct Unlinking {
  const std::string top;
  const Stop& stop;
};

// Called with folders before what is in them.
int UnlinkFolder(const char* root, const git_tree_entry* entry, void* payload) {
  const auto* unlinking = static_cast<const Unlinking*>(payload);
  if (unlinking->stop.asked()) return GIT_EUSER;
  if (git_tree_entry_type(entry) != GIT_OBJECT_TREE) return 0;
  const fs::path folder = StrCat(unlinking->top, root, git_tree_entry_name(entry));
  std::error_code failed;
  if (fs::symlink_status(folder, failed).type() != fs::file_type::symlink) return 0;
  return fs::remove(folder, failed) ? 0 : GIT_ERROR;
}

// libgit2 would write and remove files through a link that a stage put where the commit has a folder.
absl::Status RemoveLinksFor(git_repository* repository, const git_tree* tree, const Stop& stop) {
  Unlinking unlinking{.top = git_repository_workdir(repository), .stop = stop};
  const int code = git_tree_walk(tree, GIT_TREEWALK_PRE, UnlinkFolder, &unlinking);
  return code < 0 ? Failed(code, StrCat("removing links to folders from ", unlinking.top)) : absl::OkStatus();
}

absl::Status RemoveLinks(git_repository* repository, const git_tree* after, const Stop& stop) {
  git_oid id;
  if (git_reference_name_to_id(&id, repository, "HEAD") == 0) {
    FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, FindCommit(repository, TextOf(&id)));
    FABRO_ASSIGN_OR_RETURN(const TreeHandle before, TreeOf(commit.get()));
    FABRO_RETURN_IF_ERROR(RemoveLinksFor(repository, before.get(), stop));
  }
  return RemoveLinksFor(repository, after, stop);
}

absl::Status CheckOut(git_repository* repository, const git_commit* commit, const Stop& stop) {
  git_checkout_options options = GIT_CHECKOUT_OPTIONS_INIT;
  options.checkout_strategy = GIT_CHECKOUT_FORCE;
  options.notify_flags = GIT_CHECKOUT_NOTIFY_ALL;
  options.notify_cb = StopCheckout;
  options.notify_payload =
      const_cast<Stop*>(&stop);  // NOLINT(cppcoreguidelines-pro-type-const-cast): read only
  FABRO_ASSIGN_OR_RETURN(const TreeHandle tree, TreeOf(commit));
  FABRO_RETURN_IF_ERROR(RemoveLinks(repository, tree.get(), stop));
  const std::string doing = StrCat("writing the files of commit ", TextOf(git_commit_id(commit)), " to ",
                                   git_repository_workdir(repository));
  int code = git_checkout_tree(repository, reinterpret_cast<const git_object*>(tree.get()), &options);
  if (code < 0) return Failed(code, doing);
  // Files that were added to the index and not committed are still in it.
  IndexHandle index;
  code = git_repository_index(Out(index), repository);
  if (code == 0) code = git_index_read_tree(index.get(), tree.get());
  if (code == 0) code = git_index_write(index.get());
  return code < 0 ? Failed(code, doing) : absl::OkStatus();
}

struct Unknown {
  const Stop& stop;
  std::vector<std::string> paths;
};

int KeepUnknown(const git_diff*, const git_diff_delta* delta, const char*, void* payload) {
  auto* unknown = static_cast<Unknown*>(payload);
  if (unknown->stop.asked()) return GIT_EUSER;
  if (delta->status == GIT_DELTA_UNTRACKED) unknown->paths.emplace_back(delta->new_file.path);
  return 1;
}

// A repository of its own shows as a folder, "name/".
bool IsFolder(std::string_view path) { return path.ends_with('/'); }

absl::Status RemoveUnknown(git_repository* repository, const Globs& kept, const Stop& stop) {
  Unknown unknown{.stop = stop, .paths = {}};
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS;
  options.notify_cb = KeepUnknown;
  options.payload = &unknown;
  DiffHandle diff;
  const int code = git_diff_index_to_workdir(Out(diff), repository, nullptr, &options);
  const fs::path top = git_repository_workdir(repository);
  if (code < 0) return Failed(code, StrCat("looking for new files in ", top.string()));
  for (const std::string& path : unknown.paths) {
    if (stop.asked()) return Cancelled("stopped while removing new files");
    if (kept.Matches(path) || IsFolder(path)) continue;
    std::error_code failed;
    fs::remove(top / path, failed);
    if (failed) return ErrnoError(failed.value(), StrCat("removing the new file ", (top / path).string()));
    for (fs::path folder = (top / path).parent_path(); folder != top.parent_path();
         folder = folder.parent_path()) {
      if (!fs::is_empty(folder, failed) || failed || folder == top || !fs::remove(folder, failed)) break;
    }
  }
  return absl::OkStatus();
}

// The branch at the commit, and checked out; its files are in the tree already.
absl::Status MoveBranch(git_repository* repository, const Worktree& worktree, const git_oid* to,
                        const char* why) {
  const std::string name = ReferenceOf(worktree);
  const std::string doing = StrCat("moving ", worktree.branch, " to ", TextOf(to));
  git_oid now;
  int code = git_reference_name_to_id(&now, repository, name.c_str());
  if (code < 0 && code != GIT_ENOTFOUND) return Failed(code, doing);
  if (code == GIT_ENOTFOUND || git_oid_equal(&now, to) == 0) {
    ReferenceHandle moved;
    code = git_reference_create(Out(moved), repository, name.c_str(), to, 1, why);
    if (code < 0) return Failed(code, doing);
  }
  ReferenceHandle head;
  code = git_reference_lookup(Out(head), repository, "HEAD");
  if (code < 0) return Failed(code, doing);
  const char* target = git_reference_symbolic_target(head.get());
  if (target != nullptr && target == name) return absl::OkStatus();
  code = git_repository_set_head(repository, name.c_str());
  return code < 0 ? Failed(code, doing) : absl::OkStatus();
}

struct Gathering {
  git_index* index;
  const std::string top;
  const Globs& excluded;
  const Stop& stop;
  std::vector<std::string> too_large;
};

// 0 takes a change into the commit, 1 passes it over.
int TakeOrLeave(const char* path, const char*, void* payload) {
  auto* gathering = static_cast<Gathering*>(payload);
  if (gathering->stop.asked()) return GIT_EUSER;
  if (IsFolder(path) || gathering->excluded.Matches(path)) return 1;
  const git_index_entry* before = git_index_get_bypath(gathering->index, path, 0);
  if (before != nullptr && before->mode == GIT_FILEMODE_COMMIT) return 1;  // a submodule
  struct stat now{};
  if (::lstat((gathering->top + path).c_str(), &now) == 0 && S_ISREG(now.st_mode) &&
      static_cast<std::size_t>(now.st_size) > kMaxFileBytes) {
    gathering->too_large.emplace_back(path);
    return 1;
  }
  return 0;
}

// The tree of all that is in the worktree and not left out. The index is in memory until it is written.
absl::StatusOr<git_oid> Gather(Gathering& gathering) {
  const std::string doing = StrCat("gathering what changed in ", gathering.top);
  int code = git_index_read(gathering.index, 1);
  // A merge that a stage left unfinished is committed as its files are.
  if (code == 0 && git_index_has_conflicts(gathering.index) != 0)
    code = git_index_conflict_cleanup(gathering.index);
  if (code == 0) {
    code = git_index_add_all(gathering.index, nullptr, GIT_INDEX_ADD_DEFAULT, TakeOrLeave, &gathering);
  }
  git_oid tree;
  if (code == 0) code = git_index_write_tree(&tree, gathering.index);
  if (code < 0) return Failed(code, doing);
  return tree;
}

// The commit that is checked out, on whatever branch; else, before a first one, the branch's.
absl::StatusOr<CommitHandle> Before(git_repository* repository, const Worktree& worktree) {
  git_oid id;
  int code = git_reference_name_to_id(&id, repository, "HEAD");
  if (code < 0) code = git_reference_name_to_id(&id, repository, ReferenceOf(worktree).c_str());
  if (code < 0) return Failed(code, StrCat("finding what is checked out in ", worktree.path));
  return FindCommit(repository, TextOf(&id));
}

absl::StatusOr<git_oid> MakeCommit(git_repository* repository, const git_oid& tree_id, git_commit* parent,
                                   const CommitOrder& order) {
  TreeHandle tree;
  SignatureHandle author;
  int code = git_tree_lookup(Out(tree), repository, &tree_id);
  if (code == 0) code = git_signature_new(Out(author), kAuthorName, kAuthorEmail, order.at.unix_ms / 1000, 0);
  git_oid id;
  const git_commit* parents[] = {parent};
  if (code == 0) {
    code = git_commit_create(&id, repository, nullptr, author.get(), author.get(), nullptr,
                             order.message.c_str(), tree.get(), 1, parents);
  }
  if (code < 0) return Failed(code, StrCat("committing to ", git_repository_workdir(repository)));
  return id;
}

}  // namespace

absl::Status RemoveFolder(const std::string& folder) {
  std::error_code failed;
  fs::remove_all(folder, failed);
  if (!failed) return absl::OkStatus();
  MakeRemovable(folder);
  fs::remove_all(folder, failed);
  if (failed) return ErrnoError(failed.value(), StrCat("removing the folder ", folder));
  return absl::OkStatus();
}

absl::Status MakeBranch(const Worktree& worktree, const std::string& start_sha) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle shared, Open(worktree.repository));
  return AddBranch(shared.get(), worktree, start_sha);
}

absl::StatusOr<std::string> MakeWorktree(const Worktree& worktree, const std::string& start_sha,
                                         const Stop& stop) {
  {
    MutexLock lock(&list_of_worktrees);
    FABRO_ASSIGN_OR_RETURN(const RepositoryHandle shared, Open(worktree.repository));
    RemoveLocks(worktree);
    FABRO_RETURN_IF_ERROR(AddBranch(shared.get(), worktree, start_sha));
    if (!IsWhole(shared.get(), worktree)) FABRO_RETURN_IF_ERROR(AddWorktree(shared.get(), worktree));
  }
  FABRO_ASSIGN_OR_RETURN(const std::optional<std::string> tip, TipOf(worktree.repository, worktree.branch));
  if (!tip) return Internal(StrCat("the branch ", worktree.branch, " has gone"));
  FABRO_RETURN_IF_ERROR(LinkFolder(worktree));
  std::error_code failed;
  if (!fs::exists(GitFolderOf(worktree) + "/index", failed)) {  // is written after the last file
    FABRO_ASSIGN_OR_RETURN(const RepositoryHandle own, OpenWorktree(worktree));
    FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, FindCommit(own.get(), *tip));
    FABRO_RETURN_IF_ERROR(CheckOut(own.get(), commit.get(), stop));
  }
  return *tip;
}

absl::Status ResetWorktree(const Worktree& worktree, const std::string& sha, const Globs& kept,
                           const Stop& stop) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle repository, OpenWorktree(worktree));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, FindCommit(repository.get(), sha));
  FABRO_RETURN_IF_ERROR(CheckOut(repository.get(), commit.get(), stop));
  FABRO_RETURN_IF_ERROR(RemoveUnknown(repository.get(), kept, stop));
  return MoveBranch(repository.get(), worktree, git_commit_id(commit.get()), "fabro: reset");
}

absl::StatusOr<std::string> HeadOf(const Worktree& worktree) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle repository, OpenWorktree(worktree));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, Before(repository.get(), worktree));
  return TextOf(git_commit_id(commit.get()));
}

absl::StatusOr<Committed> CommitWorktree(const Worktree& worktree, const CommitOrder& order,
                                         const Stop& stop) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle repository, OpenWorktree(worktree));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle before, Before(repository.get(), worktree));
  IndexHandle index;
  int code = git_repository_index(Out(index), repository.get());
  if (code < 0) return Failed(code, StrCat("reading the index of ", worktree.path));
  Gathering gathering{.index = index.get(),
                      .top = git_repository_workdir(repository.get()),
                      .excluded = order.excluded,
                      .stop = stop,
                      .too_large = {}};
  FABRO_ASSIGN_OR_RETURN(const git_oid tree, Gather(gathering));
  git_oid id = *git_commit_id(before.get());
  if (git_oid_equal(&tree, git_commit_tree_id(before.get())) == 0) {
    FABRO_ASSIGN_OR_RETURN(id, MakeCommit(repository.get(), tree, before.get(), order));
  }
  FABRO_RETURN_IF_ERROR(MoveBranch(repository.get(), worktree, &id, "fabro: commit"));
  code = git_index_write(index.get());
  if (code < 0) return Failed(code, StrCat("writing the index of ", worktree.path));
  return Committed{.sha = TextOf(&id), .too_large = std::move(gathering.too_large)};
}

absl::Status RemoveWorktree(const Worktree& worktree) {
  FABRO_RETURN_IF_ERROR(RemoveFolder(worktree.path));
  MutexLock lock(&list_of_worktrees);
  FABRO_RETURN_IF_ERROR(RemoveFolder(GitFolderOf(worktree)));
  std::error_code ignored;  // it is not empty while there are others
  fs::remove(worktree.repository + "/worktrees", ignored);
  return absl::OkStatus();
}

absl::Status DeleteBranches(const std::string& repository, const std::string& prefix) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle opened, Open(repository));
  const std::string doing = StrCat("deleting the branches ", prefix, "* of ", repository);
  std::vector<std::string> names;
  {
    IteratorHandle all;
    int code =
        git_reference_iterator_glob_new(Out(all), opened.get(), StrCat("refs/heads/", prefix, "*").c_str());
    const char* name = nullptr;
    while (code == 0 && (code = git_reference_next_name(&name, all.get())) == 0) names.emplace_back(name);
    if (code != GIT_ITEROVER) return Failed(code, doing);
  }
  for (const std::string& name : names) {
    const int code = git_reference_remove(opened.get(), name.c_str());
    if (code < 0 && code != GIT_ENOTFOUND) return Failed(code, doing);
  }
  return absl::OkStatus();
}

}  // namespace fabro::git
