#include "core/engine/branches.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

#include "core/base/strings.h"

namespace fabro::engine {
namespace {

using workflow::Graph;
using workflow::JoinPolicy;
using workflow::Node;

std::optional<double> ScoreOf(const Frame& branch) {
  const auto found = branch.context.find("score");
  return found == branch.context.end() ? std::nullopt : ParseDouble(found->second);  // a text is no score
}

std::string ResultJson(const Graph& graph, const Frame& branch, bool with_values) {
  const auto score = branch.context.find("score");
  std::string out =
      StrCat("{\"id\":", JsonString(graph.nodes[branch.start].id),
             ",\"status\":", JsonString(ToString(*branch.ended)),
             ",\"score\":", ScoreOf(branch) ? std::string_view(score->second) : std::string_view("null"),
             ",\"notes\":", JsonString(branch.last.notes), ",\"context_updates\":{");
  bool first = true;
  for (const auto& [key, value] : branch.context) {
    if (!with_values || value.empty() || value.size() > kMaxResultValue) continue;
    if (!first) out += ',';
    first = false;
    AppendJsonString(out, key);
    out += ':';
    out += value;
  }
  return out + "}}";
}

int RankOf(OutcomeStatus status) {
  constexpr std::array kBestFirst{OutcomeStatus::kSuccess, OutcomeStatus::kPartialSuccess,
                                  OutcomeStatus::kSkipped, OutcomeStatus::kRetry, OutcomeStatus::kFail};
  return static_cast<int>(std::ranges::find(kBestFirst, status) - kBestFirst.begin());
}

OutcomeStatus JoinedStatus(const Node& parallel, std::size_t succeeded, std::size_t failed) {
  if (parallel.join_policy == JoinPolicy::kFirstSuccess) {
    return succeeded > 0 || failed == 0 ? OutcomeStatus::kSuccess : OutcomeStatus::kFail;
  }
  if (failed == 0) return OutcomeStatus::kSuccess;
  return succeeded > 0 ? OutcomeStatus::kPartialSuccess : OutcomeStatus::kFail;
}

}  // namespace

std::string BranchName(std::string_view stage_id, std::uint32_t index) {
  return StrCat(stage_id, "-", index + 1);
}

OutcomeStatus StatusOf(const Frame& branch) {
  return branch.last.node ? branch.last.status : OutcomeStatus::kSuccess;
}

BranchResult ResultOf(const Frame& branch) {
  return {.branch = branch.name,
          .start = branch.start,
          .status = branch.ended.value_or(OutcomeStatus::kFail),
          .score = ScoreOf(branch)};
}

Outcome JoinedOutcome(const Graph& graph, const Node& parallel, std::span<const Frame* const> branches) {
  Outcome outcome;
  std::string results = "[";
  std::size_t failed = 0;
  for (const Frame* branch : branches) {
    if (results.size() > 1) results += ',';
    results += ResultJson(graph, *branch, results.size() <= kMaxResults);
    failed += branch->ended == OutcomeStatus::kFail ? 1 : 0;
  }
  outcome.status = JoinedStatus(parallel, branches.size() - failed, failed);
  if (outcome.status == OutcomeStatus::kFail) {
    outcome.failure = Failure{.message = StrCat("all ", failed, " branches of ", parallel.id, " failed"),
                              .failure_class = FailureClass::kDeterministic};
  }
  outcome.context_updates = {{"parallel.results", results + "]"},
                             {"parallel.branch_count", std::to_string(parallel.out.size())}};
  return outcome;
}

const BranchResult* BestOf(const Graph& graph, std::span<const BranchResult> results) {
  const auto key = [&graph](const BranchResult& result) {
    constexpr double kNone = std::numeric_limits<double>::infinity();
    return std::tuple(RankOf(result.status), result.score ? -*result.score : kNone,
                      std::string_view(graph.nodes[result.start].id));
  };
  const auto best = std::ranges::min_element(results, {}, key);
  return best == results.end() ? nullptr : &*best;
}

Outcome FanInOutcome(const Graph& graph, const Node& fan_in, std::span<const BranchResult> results) {
  Outcome outcome;
  const BranchResult* best = BestOf(graph, results);
  if (best == nullptr || best->status == OutcomeStatus::kFail) {
    outcome.status = OutcomeStatus::kFail;
    outcome.failure =
        Failure{.message = best == nullptr
                               ? StrCat("no parallel branches ended before ", fan_in.id)
                               : StrCat("all ", results.size(), " branches before ", fan_in.id, " failed"),
                .failure_class = best == nullptr ? FailureClass::kStructural : FailureClass::kDeterministic};
  }
  if (best == nullptr) return outcome;
  outcome.context_updates = {{"parallel.fan_in.best_id", JsonString(graph.nodes[best->start].id)},
                             {"parallel.fan_in.best_outcome", JsonString(ToString(best->status))}};
  return outcome;
}

}  // namespace fabro::engine
