#include "core/git/repository.h"

#include <filesystem>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/git/libgit2.h"

namespace fabro::git {
namespace {

std::string WithoutSlash(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

struct Search {
  const Stop& stop;
  std::optional<std::string> found;
};

// Ends the comparison at the first difference.
int KeepFirst(const git_diff*, const git_diff_delta* delta, const char*, void* payload) {
  auto* search = static_cast<Search*>(payload);
  search->found = delta->new_file.path != nullptr ? delta->new_file.path : delta->old_file.path;
  return GIT_EUSER;
}

int LookForStop(const git_diff*, const char*, const char*, void* payload) {
  return static_cast<Search*>(payload)->stop.asked() ? GIT_EUSER : 0;
}

struct Listing {
  const Stop& stop;
  std::size_t most;
  std::vector<std::string> paths;
};

int KeepPath(const git_diff*, const git_diff_delta* delta, const char*, void* payload) {
  auto* listing = static_cast<Listing*>(payload);
  if (listing->stop.asked()) return GIT_EUSER;
  if (listing->paths.size() < listing->most) listing->paths.emplace_back(delta->new_file.path);
  return 1;  // not needed beyond this
}

}  // namespace

absl::StatusOr<std::optional<Place>> FindRepository(const std::string& folder) {
  const absl::StatusOr<RepositoryHandle> exact = Open(folder);  // also starts the library
  if (exact.ok() && git_repository_is_bare(exact->get()) != 0) return std::nullopt;
  RepositoryHandle repository;
  const int code = git_repository_open_ext(Out(repository), folder.c_str(), 0, nullptr);
  if (code == GIT_ENOTFOUND) return std::nullopt;
  if (code < 0) return Failed(code, StrCat("opening the git repository of ", folder));
  if (git_repository_workdir(repository.get()) == nullptr) return std::nullopt;
  std::error_code failed;
  const std::filesystem::path real = std::filesystem::canonical(folder, failed);
  if (failed) return ErrnoError(failed.value(), StrCat("finding the folder ", folder));
  Place place;
  place.repository = WithoutSlash(git_repository_commondir(repository.get()));
  place.top = WithoutSlash(git_repository_workdir(repository.get()));
  place.below = real.lexically_relative(place.top).string();
  if (place.below == ".") place.below.clear();
  if (place.below == ".git" || place.below.starts_with(".git/")) return std::nullopt;
  return place;
}

absl::StatusOr<std::string> HeadOf(const std::string& top) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle repository, Open(top));
  git_oid id;
  const int code = git_reference_name_to_id(&id, repository.get(), "HEAD");
  if (code == GIT_ENOTFOUND || code == GIT_EUNBORNBRANCH) return std::string();
  if (code < 0) return Failed(code, StrCat("finding what is checked out in ", top));
  return TextOf(&id);
}

absl::StatusOr<std::optional<std::string>> TipOf(const std::string& repository, const std::string& branch) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle opened, Open(repository));
  git_oid id;
  const int code = git_reference_name_to_id(&id, opened.get(), StrCat("refs/heads/", branch).c_str());
  if (code == GIT_ENOTFOUND) return std::nullopt;
  if (code < 0) return Failed(code, StrCat("finding the branch ", branch, " in ", repository));
  return TextOf(&id);
}

absl::StatusOr<bool> HasFolder(const std::string& repository, const std::string& sha,
                               const std::string& folder) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle opened, Open(repository));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, FindCommit(opened.get(), sha));
  FABRO_ASSIGN_OR_RETURN(const TreeHandle tree, TreeOf(commit.get()));
  EntryHandle entry;
  const int code = git_tree_entry_bypath(Out(entry), tree.get(), folder.c_str());
  if (code == GIT_ENOTFOUND) return false;
  if (code < 0) return Failed(code, StrCat("looking for ", folder, " in commit ", sha));
  return git_tree_entry_type(entry.get()) == GIT_OBJECT_TREE;
}

absl::StatusOr<std::optional<std::string>> FindChange(const std::string& top, const Stop& stop) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle repository, Open(top));
  FABRO_ASSIGN_OR_RETURN(const std::string head, HeadOf(top));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle commit, FindCommit(repository.get(), head));
  FABRO_ASSIGN_OR_RETURN(const TreeHandle tree, TreeOf(commit.get()));
  Search search{.stop = stop, .found = std::nullopt};
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_SKIP_BINARY_CHECK;
  options.ignore_submodules = GIT_SUBMODULE_IGNORE_DIRTY;
  options.notify_cb = KeepFirst;
  options.progress_cb = LookForStop;
  options.payload = &search;
  DiffHandle diff;
  int code = git_diff_tree_to_index(Out(diff), repository.get(), tree.get(), nullptr, &options);
  if (code == 0) code = git_diff_index_to_workdir(Out(diff), repository.get(), nullptr, &options);
  if (search.found) return search.found;
  if (code < 0) return Failed(code, StrCat("looking for uncommitted changes in ", top));
  return std::nullopt;
}

absl::StatusOr<bool> IsAncestor(const std::string& repository, const std::string& older,
                                const std::string& newer) {
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle opened, Open(repository));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle first, FindCommit(opened.get(), older));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle last, FindCommit(opened.get(), newer));
  if (older == newer) return true;
  const int code =
      git_graph_descendant_of(opened.get(), git_commit_id(last.get()), git_commit_id(first.get()));
  if (code < 0) return Failed(code, StrCat("following ", newer, " back to ", older));
  return code == 1;
}

absl::StatusOr<std::vector<std::string>> ChangedPaths(const std::string& repository, const std::string& older,
                                                      const std::string& newer, std::size_t most,
                                                      const Stop& stop) {
  Listing listing{.stop = stop, .most = most, .paths = {}};
  if (older == newer) return std::move(listing.paths);
  FABRO_ASSIGN_OR_RETURN(const RepositoryHandle opened, Open(repository));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle before, FindCommit(opened.get(), older));
  FABRO_ASSIGN_OR_RETURN(const CommitHandle after, FindCommit(opened.get(), newer));
  FABRO_ASSIGN_OR_RETURN(const TreeHandle old_tree, TreeOf(before.get()));
  FABRO_ASSIGN_OR_RETURN(const TreeHandle new_tree, TreeOf(after.get()));
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags = GIT_DIFF_INCLUDE_TYPECHANGE;
  options.notify_cb = KeepPath;
  options.payload = &listing;
  DiffHandle diff;
  const int code = git_diff_tree_to_tree(Out(diff), opened.get(), old_tree.get(), new_tree.get(), &options);
  if (code < 0) return Failed(code, StrCat("comparing ", older, " with ", newer));
  return std::move(listing.paths);
}

}  // namespace fabro::git
