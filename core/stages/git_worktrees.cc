#include "core/stages/git_worktrees.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/git/globs.h"
#include "core/git/repository.h"
#include "core/git/worktree.h"
#include "core/stages/run_trees.h"

namespace fabro::stages {
namespace {

namespace fs = std::filesystem;

// Whether a run gets a worktree: what it begins with, or why not.
struct Decision {
  std::optional<git::Place> place;
  std::string start_sha;
  std::string code;  // of the notice; empty: nothing to tell
  std::string reason;
};

Decision Against(std::string code, std::string reason) {
  return {.place = std::nullopt, .start_sha = "", .code = std::move(code), .reason = std::move(reason)};
}

absl::StatusOr<Decision> Decide(const std::string& runs_dir, const RunContext& context,
                                const git::Stop& stop) {
  const std::string& folder = context.settings->work_dir;
  FABRO_ASSIGN_OR_RETURN(const std::optional<git::Place> place, git::FindRepository(folder));
  if (!place) return Decision();
  const git::Worktree own = RunTrees(runs_dir, context.run, place->repository).Own();
  FABRO_ASSIGN_OR_RETURN(const std::optional<std::string> begun, git::TipOf(place->repository, own.branch));
  Decision decision{.place = place, .start_sha = begun.value_or(context.start_sha), .code = "", .reason = ""};
  const bool is_settled =
      !decision.start_sha.empty();  // before a crash, or by the run that this one is a fork of
  if (!is_settled) {
    FABRO_ASSIGN_OR_RETURN(decision.start_sha, git::HeadOf(place->top));
    if (decision.start_sha.empty()) {
      return Against("git_no_commit", StrCat("The repository of ", folder, " has no commit yet"));
    }
  }
  if (!place->below.empty()) {
    FABRO_ASSIGN_OR_RETURN(const bool is_part,
                           git::HasFolder(place->repository, decision.start_sha, place->below));
    if (!is_part) {
      return Against("git_not_committed", StrCat(folder, " is no part of the commit ", decision.start_sha,
                                                 " of the repository ", place->top));
    }
  }
  if (!is_settled && context.settings->sandbox.worktree_mode == config::WorktreeMode::kClean) {
    FABRO_ASSIGN_OR_RETURN(const std::optional<std::string> change, git::FindChange(place->top, stop));
    if (change) {
      return Against("dirty_worktree",
                     StrCat("The repository of ", folder, " has uncommitted changes, such as ", *change));
    }
  }
  return decision;
}

std::string Within(const std::string& tree, const std::string& below) {
  return below.empty() ? tree : StrCat(tree, "/", below);
}

absl::StatusOr<git::Globs> ExcludedOf(const RunContext& context) {
  return git::Globs::Parse(context.settings->checkpoint_exclude_globs);
}

// The repository that a worktree names in its .git file; empty when there is no such file any more.
std::string RepositoryOf(const std::string& tree) {
  constexpr std::string_view kPrefix = "gitdir: ";
  std::ifstream in(tree + "/.git");
  std::string line;
  if (!std::getline(in, line) || !line.starts_with(kPrefix)) return "";
  while (line.ends_with('/')) line.pop_back();
  return fs::path(line.substr(kPrefix.size())).parent_path().parent_path().string();
}

// By all that may still be there of the run.
absl::StatusOr<std::string> FindRepositoryOf(const RunTrees& trees, const RunContext& context,
                                             const engine::Prepared& prepared) {
  if (!prepared.repository.empty()) return prepared.repository;
  FABRO_ASSIGN_OR_RETURN(const std::optional<git::Place> place,
                         git::FindRepository(context.settings->work_dir));
  return place ? place->repository : RepositoryOf(trees.Own().path);
}

absl::Status RemoveBranches(const RunTrees& trees) {
  for (const git::Worktree& tree : trees.FindBranches()) FABRO_RETURN_IF_ERROR(git::RemoveWorktree(tree));
  FABRO_RETURN_IF_ERROR(git::RemoveFolder(trees.branches_folder()));
  return git::DeleteBranches(trees.repository(), trees.branches_prefix());
}

// What a stage that was cut short left is no reason to lose it.
absl::Status CommitRest(const RunTrees& trees, RunId run, const git::Globs& excluded, Timestamp now,
                        const git::Stop& stop) {
  const git::Worktree own = trees.Own();
  const git::CommitOrder order{
      .message = RunMessage(run, "left at the end of the run"), .excluded = excluded, .at = now};
  const absl::StatusOr<git::Committed> committed = git::CommitWorktree(own, order, stop);
  // Only in part, from the beginning or the end of its life: nothing of a stage is in it.
  return absl::IsNotFound(committed.status()) ? absl::OkStatus() : committed.status();
}

absl::Status Remove(const RunTrees& trees, const RunContext& context, Timestamp now, const git::Stop& stop) {
  std::error_code failed;
  if (!fs::exists(trees.repository() + "/HEAD", failed)) {
    log::Warn("a run's repository has gone", {{"run", context.run}, {"repository", trees.repository()}});
    FABRO_RETURN_IF_ERROR(git::RemoveFolder(trees.branches_folder()));
    return context.settings->sandbox.preserve ? absl::OkStatus() : git::RemoveFolder(trees.Own().path);
  }
  FABRO_RETURN_IF_ERROR(RemoveBranches(trees));
  if (context.settings->sandbox.preserve) return absl::OkStatus();
  FABRO_ASSIGN_OR_RETURN(const git::Globs excluded, ExcludedOf(context));
  FABRO_RETURN_IF_ERROR(CommitRest(trees, context.run, excluded, now, stop));
  return git::RemoveWorktree(trees.Own());
}

}  // namespace

// Child runs work where their parent's stages do, in a worktree of the parent's.
bool GitWorktrees::MayNeed(const RunContext& context) const {
  const config::RunSettings& settings = *context.settings;
  return !settings.work_dir.empty() && !settings.work_dir.starts_with(runs_dir_ + "/") &&
         settings.sandbox.worktree_mode != config::WorktreeMode::kNever;
}

Task<absl::StatusOr<std::optional<RunWorktree>>> GitWorktrees::MakeForRun(RunContext context,
                                                                          PreparationSink* sink) {
  if (!MayNeed(context)) co_return std::nullopt;
  FABRO_CO_RETURN_IF_ERROR(ExcludedOf(context).status());
  auto decide = [runs_dir = runs_dir_, context](const git::Stop& stop) {
    return Decide(runs_dir, context, stop);
  };
  FABRO_CO_ASSIGN_OR_RETURN(const Decision decision, co_await worker_.Do(std::move(decide)));
  if (!decision.place) {
    if (decision.code.empty()) co_return std::nullopt;
    engine::PreparationNotice notice{
        .code = decision.code,
        .message =
            StrCat(decision.reason, ": the run works in the folder itself, without a branch of its own.")};
    co_await sink->Tell(std::move(notice));
    co_return std::nullopt;
  }
  const git::Worktree own = RunTrees(runs_dir_, context.run, decision.place->repository).Own();
  auto make = [own, start = decision.start_sha](const git::Stop& stop) {
    return git::MakeWorktree(own, start, stop);
  };
  FABRO_CO_ASSIGN_OR_RETURN(const std::string base, co_await worker_.Do(std::move(make)));
  engine::BranchMade branch{.branch = own.branch, .sha = base};
  co_await sink->Tell(std::move(branch));
  co_return RunWorktree{
      .work_dir = Within(own.path, decision.place->below), .repository = own.repository, .base_sha = base};
}

Task<absl::StatusOr<RunWorktree>> GitWorktrees::SealSetup(RunContext context, RunWorktree worktree) {
  FABRO_CO_ASSIGN_OR_RETURN(const git::Globs excluded, ExcludedOf(context));
  const git::Worktree own = RunTrees(runs_dir_, context.run, worktree.repository).Own();
  const git::CommitOrder order{
      .message = RunMessage(context.run, "set up"), .excluded = excluded, .at = clock_.Now()};
  auto commit = [own, order](const git::Stop& stop) { return git::CommitWorktree(own, order, stop); };
  FABRO_CO_ASSIGN_OR_RETURN(const git::Committed committed, co_await worker_.Do(std::move(commit)));
  worktree.base_sha = committed.sha;
  co_return worktree;
}

Task<absl::Status> GitWorktrees::RemoveForRun(RunContext context, engine::Prepared prepared) {
  if (!MayNeed(context) && prepared.repository.empty()) co_return absl::OkStatus();
  auto remove = [runs_dir = runs_dir_, context, prepared,
                 now = clock_.Now()](const git::Stop& stop) -> absl::Status {
    const RunTrees unplaced(runs_dir, context.run, "");
    FABRO_ASSIGN_OR_RETURN(const std::string repository, FindRepositoryOf(unplaced, context, prepared));
    if (repository.empty()) return absl::OkStatus();
    return Remove(RunTrees(runs_dir, context.run, repository), context, now, stop);
  };
  co_return co_await worker_.Do(std::move(remove));
}

Task<absl::Status> GitWorktrees::ForgetRun(RunId run) {
  auto forget = [runs_dir = runs_dir_, run](const git::Stop&) -> absl::Status {
    const git::Worktree unplaced = RunTrees(runs_dir, run, "").Own();
    const std::string repository = RepositoryOf(unplaced.path);
    std::error_code failed;
    if (repository.empty() || !fs::exists(repository, failed)) return absl::OkStatus();
    return git::RemoveWorktree(RunTrees(runs_dir, run, repository).Own());
  };
  co_return co_await worker_.Do(std::move(forget));
}

}  // namespace fabro::stages
