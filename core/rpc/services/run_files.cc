#include "core/rpc/services/run_files.h"

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/history.h"
#include "core/git/repository.h"
#include "core/stages/run_trees.h"

namespace fabro::rpc {
namespace {

constexpr std::size_t kLeastDigits = 7;  // of a commit

bool IsMeant(const engine::CheckpointEntry& checkpoint, const std::string& name) {
  return name == std::to_string(ToUint(checkpoint.id)) || name == checkpoint.node_id ||
         (name.size() >= kLeastDigits && checkpoint.git_commit_sha.starts_with(ToLower(name)));
}

// The commit of the last checkpoint of that name; of the last one of all when there is no name.
Task<absl::StatusOr<std::string>> FindCommit(Backend backend, RunId run, std::string name) {
  FABRO_CO_ASSIGN_OR_RETURN(const std::vector<engine::CheckpointEntry> all,
                            co_await backend.supervisor.Checkpoints(run));
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    const bool is_meant = name.empty() || IsMeant(*at, name);
    if (is_meant && !at->git_commit_sha.empty()) co_return at->git_commit_sha;
  }
  if (name.empty()) co_return std::string();
  co_return NotFound(Reason::kNotFound, run.ToString(),
                     StrCat("Run ", run.ToString(), " has no checkpoint ", name, " with a commit."));
}

// Where the run's branch stands; once somebody has deleted it, where the run had left it.
Task<absl::StatusOr<std::string>> FindEnd(Backend backend, RunId run, engine::Prepared prepared) {
  const git::Worktree own = stages::RunTrees(backend.work_dir, run, prepared.repository).Own();
  auto find = [own](const git::Stop&) { return git::TipOf(own.repository, own.branch); };
  FABRO_CO_ASSIGN_OR_RETURN(const std::optional<std::string> tip, co_await backend.git.Do(std::move(find)));
  if (tip) co_return *tip;
  FABRO_CO_ASSIGN_OR_RETURN(std::string last, co_await FindCommit(backend, run, ""));
  co_return last.empty() ? prepared.base_sha : std::move(last);
}

Task<absl::StatusOr<git::DiffPage>> Compare(Backend backend, RunId run, engine::Prepared prepared,
                                            std::string end, Page page) {
  if (end.empty()) {
    FABRO_CO_ASSIGN_OR_RETURN(end, co_await FindEnd(backend, run, prepared));
  }
  auto compare = [prepared, end, page](const git::Stop& stop) {
    return git::Diff(prepared.repository, prepared.base_sha, end, static_cast<std::size_t>(page.offset),
                     static_cast<std::size_t>(page.limit), git::DiffBounds(), stop);
  };
  co_return co_await backend.git.Do(std::move(compare));
}

void Redact(const events::Redactor& redactor, git::FileSide& side) {
  side.path = redactor.Redact(ToValidUtf8(side.path));
  side.text = redactor.Redact(side.text);
}

}  // namespace

Task<absl::StatusOr<git::DiffPage>> ReadRunFiles(Backend backend, RunId run,
                                                 std::optional<engine::Prepared> prepared, FilesQuery query) {
  std::string end;
  if (!query.checkpoint.empty()) {
    FABRO_CO_ASSIGN_OR_RETURN(end, co_await FindCommit(backend, run, query.checkpoint));
  }
  if (!prepared || prepared->repository.empty()) co_return git::DiffPage();
  absl::StatusOr<git::DiffPage> files = co_await Compare(backend, run, *prepared, std::move(end), query.page);
  if (absl::IsNotFound(files.status())) {
    co_return NotFound(Reason::kNotFound, run.ToString(),
                       StrCat("Run ", run.ToString(), " worked in the git repository ", prepared->repository,
                              ", which is not there any more or has lost the run's commits."));
  }
  if (!files.ok()) co_return files.status();
  for (git::FileChange& file : files->files) {
    Redact(backend.redactor, file.before);
    Redact(backend.redactor, file.after);
  }
  co_return files;
}

}  // namespace fabro::rpc
