#include "core/stages/git_stages.h"

#include <algorithm>
#include <optional>

#include "core/async/executor.h"
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

using engine::FailureClass;
using engine::Outcome;
using engine::OutcomeStatus;

constexpr std::size_t kMaxNamedFiles = 10;

absl::StatusOr<git::Globs> ExcludedOf(const StageRequest& request) {
  if (request.settings == nullptr) return git::Globs();
  return git::Globs::Parse(request.settings->checkpoint_exclude_globs);
}

FailureClass ClassOf(const absl::Status& status) {
  if (absl::IsCancelled(status)) return FailureClass::kCanceled;
  if (absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) return FailureClass::kTransientInfra;
  return absl::IsAborted(status) ? FailureClass::kStructural : FailureClass::kDeterministic;
}

// The stages of a run work in the same folder of whichever worktree; tells that folder in `tree`.
std::string SameFolder(const std::string& work_dir, const std::string& own, const std::string& tree) {
  const bool is_within = work_dir.starts_with(own + "/");
  return is_within ? tree + work_dir.substr(own.size()) : tree;
}

// "fan-2" began together with "fan-1" and "fan-3".
bool AreSiblings(std::string_view a, std::string_view b) {
  const std::size_t stem = a.rfind('-') + 1;
  return b.substr(0, stem) == a.substr(0, stem) && ParseInt(b.substr(std::min(stem, b.size())));
}

}  // namespace

// What a stage finds when it begins.
struct GitStages::Begun {
  git::Worktree tree;
  std::string sha;  // that is checked out
  git::Globs excluded;
};

Task<Outcome> GitStages::Run(StageRequest request, StageOutputSink* sink) {
  if (!request.prepared.work_dir.empty()) request.work_dir = request.prepared.work_dir;
  if (request.prepared.repository.empty()) co_return co_await work_.Run(std::move(request), sink);
  auto begin = [this, request](const git::Stop& stop) { return Begin(request, stop); };
  absl::StatusOr<Begun> begun = co_await worker_.Do(std::move(begin));
  if (!begun.ok()) co_return FailedBy(Annotate(begun.status(), "preparing the stage's files"));
  if (!request.adopt_branch.empty()) {
    co_return co_await Adopt(std::move(request), *std::move(begun));
  }
  co_return co_await Work(std::move(request), *std::move(begun), sink);
}

// The worktree that the stage works in, as it should find it.
absl::StatusOr<GitStages::Begun> GitStages::Begin(const StageRequest& request, const git::Stop& stop) {
  FABRO_ASSIGN_OR_RETURN(git::Globs excluded, ExcludedOf(request));
  const RunTrees trees(runs_dir_, request.run, request.prepared.repository);
  const git::Worktree tree = trees.Course(request.branch);
  if (!request.branch.empty()) FABRO_RETURN_IF_ERROR(MakeOuter(request, stop));
  FABRO_RETURN_IF_ERROR(git::MakeWorktree(tree, request.prepared.base_sha, stop).status());
  if (!request.restore_sha.empty() && request.adopt_branch.empty()) {
    FABRO_RETURN_IF_ERROR(git::ResetWorktree(tree, request.restore_sha, excluded, stop));
  }
  FABRO_ASSIGN_OR_RETURN(std::string sha, git::HeadOf(tree));
  return Begun{.tree = tree, .sha = std::move(sha), .excluded = excluded};
}

// The branch of the stage's course, and those that it is in, from the outside inwards. Each begins with what
// there is in the worktree around it, which stands still until all of its branches have ended: what the
// set-up or a child run left there is committed first.
absl::Status GitStages::MakeOuter(const StageRequest& request, const git::Stop& stop) {
  FABRO_ASSIGN_OR_RETURN(const git::Globs excluded, ExcludedOf(request));
  const RunTrees trees(runs_dir_, request.run, request.prepared.repository);
  std::vector<std::string> inwards(request.outer_branches.rbegin(), request.outer_branches.rend());
  inwards.push_back(request.branch);
  git::Worktree around = trees.Own();
  MutexLock lock(&making_);
  for (const std::string& name : inwards) {
    const git::Worktree inner = trees.Branch(name);
    FABRO_ASSIGN_OR_RETURN(const std::optional<std::string> tip, git::TipOf(inner.repository, inner.branch));
    if (!tip) {
      FABRO_RETURN_IF_ERROR(git::MakeWorktree(around, request.prepared.base_sha, stop).status());
      if (!request.restore_sha.empty()) {
        FABRO_RETURN_IF_ERROR(git::ResetWorktree(around, request.restore_sha, excluded, stop));
      }
      const git::CommitOrder order{.message = RunMessage(request.run, StrCat("before ", name)),
                                   .excluded = excluded,
                                   .at = clock_.Now()};
      FABRO_ASSIGN_OR_RETURN(const git::Committed start, git::CommitWorktree(around, order, stop));
      FABRO_RETURN_IF_ERROR(git::MakeBranch(inner, start.sha));
    }
    around = inner;
  }
  return absl::OkStatus();
}

Task<Outcome> GitStages::Work(StageRequest request, Begun begun, StageOutputSink* sink) {
  const RunTrees trees(runs_dir_, request.run, request.prepared.repository);
  request.work_dir = SameFolder(request.work_dir, trees.Own().path, begun.tree.path);
  Outcome outcome = co_await work_.Run(request, sink);
  const bool cancelled = co_await IsCancelled();
  if (cancelled) co_return outcome;

  const git::CommitOrder order{.message = StageMessage(request.run, request.stage_id,
                                                       ToString(outcome.status), request.stages_ended + 1),
                               .excluded = begun.excluded,
                               .at = clock_.Now()};
  auto commit = [tree = begun.tree, order](const git::Stop& stop) {
    return git::CommitWorktree(tree, order, stop);
  };
  const absl::StatusOr<git::Committed> committed = co_await worker_.Do(std::move(commit));
  if (!committed.ok()) {
    const absl::Status why = Annotate(committed.status(), "committing the stage's files");
    log::Error("a stage's files could not be committed",
               {{"run", request.run}, {"stage", request.stage_id}, {"error", why}});
    if (outcome.status == OutcomeStatus::kFail) co_return outcome;
    co_return FailedBy(why);
  }
  outcome.git_commit_sha = committed->sha;
  if (!committed->too_large.empty()) {
    std::vector<std::string> named = committed->too_large;
    named.resize(std::min(named.size(), kMaxNamedFiles));
    std::string text = StrCat("fabro: ", committed->too_large.size(), " files are not committed, being over ",
                              git::kMaxFileBytes >> 20, " MiB: ", Join(named, ", "), "\n");
    co_await sink->Write(true, redactor_.Redact(ToValidUtf8(text)));
  }
  auto compare = [tree = begun.tree, from = begun.sha, to = committed->sha](const git::Stop& stop) {
    return git::ChangedPaths(tree.repository, from, to, kMaxFilesTouched, stop);
  };
  const absl::StatusOr<std::vector<std::string>> changed = co_await worker_.Do(std::move(compare));
  if (changed.ok()) Tell(*changed, &outcome);
  co_return outcome;
}

// The run's course, or the branch around, goes on with the files of the branch that won. A branch without a
// stage of its own has nothing to give.
Task<Outcome> GitStages::Adopt(StageRequest request, Begun begun) {
  const RunTrees trees(runs_dir_, request.run, request.prepared.repository);
  const git::Worktree winner = trees.Branch(request.adopt_branch);
  auto adopt = [begun, winner](const git::Stop& stop) -> absl::StatusOr<std::string> {
    FABRO_ASSIGN_OR_RETURN(const std::optional<std::string> tip,
                           git::TipOf(winner.repository, winner.branch));
    if (!tip) return begun.sha;
    FABRO_ASSIGN_OR_RETURN(const bool follows, git::IsAncestor(winner.repository, begun.sha, *tip));
    if (!follows) {
      return Error(absl::StatusCode::kAborted, Reason::kUnspecified, "",
                   StrCat(begun.tree.branch, " has moved to ", begun.sha, ", from which ", winner.branch,
                          " at ", *tip, " does not come"));
    }
    FABRO_RETURN_IF_ERROR(git::ResetWorktree(begun.tree, *tip, begun.excluded, stop));
    return *tip;
  };
  const absl::StatusOr<std::string> sha = co_await worker_.Do(std::move(adopt));
  if (!sha.ok()) co_return FailedBy(Annotate(sha.status(), "taking over the best branch"));

  // Their branches stay until the run ends: after a crash this comes again.
  auto remove = [trees, winner, run = request.run](const git::Stop&) {
    for (const git::Worktree& tree : trees.FindBranches()) {
      if (!AreSiblings(winner.branch, tree.branch)) continue;
      const absl::Status removed = git::RemoveWorktree(tree);
      if (!removed.ok()) {  // one that was cut short may still be dying; the end of the run sees to it
        log::Info("a branch's worktree is still there",
                  {{"run", run}, {"branch", tree.branch}, {"error", removed}});
      }
    }
    return absl::OkStatus();
  };
  (void)co_await worker_.Do(std::move(remove));

  auto compare = [tree = begun.tree, from = begun.sha, to = *sha](const git::Stop& stop) {
    return git::ChangedPaths(tree.repository, from, to, kMaxFilesTouched, stop);
  };
  const absl::StatusOr<std::vector<std::string>> changed = co_await worker_.Do(std::move(compare));
  Outcome outcome;
  outcome.git_commit_sha = *sha;
  if (changed.ok()) Tell(*changed, &outcome);
  co_return outcome;
}

Outcome GitStages::FailedBy(const absl::Status& status) const {
  Outcome outcome;
  outcome.status = OutcomeStatus::kFail;
  outcome.failure = engine::Failure{redactor_.Redact(ToValidUtf8(MessageOf(status))), ClassOf(status)};
  return outcome;
}

// Beside what the stage itself has told.
void GitStages::Tell(const std::vector<std::string>& paths, Outcome* outcome) const {
  for (const std::string& path : paths) outcome->files_touched.push_back(redactor_.Redact(ToValidUtf8(path)));
  std::ranges::sort(outcome->files_touched);
  const auto repeated = std::ranges::unique(outcome->files_touched);
  outcome->files_touched.erase(repeated.begin(), repeated.end());
  outcome->files_touched.resize(std::min(outcome->files_touched.size(), kMaxFilesTouched));
}

}  // namespace fabro::stages
