#include "core/engine/branches.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/strings.h"
#include "core/workflow/load.h"

namespace fabro::engine {
namespace {

TEST(Branches, ResultsThatAreTooLongNameFurtherBranchesWithoutTheirValues) {
  const workflow::LoadResult loaded = workflow::LoadWorkflow(
      "digraph { start -> fan; fan [shape=component]; a [shape=parallelogram, script=a]; join "
      "[shape=tripleoctagon]; fan -> a -> join -> exit }",
      {}, {});
  ASSERT_NE(loaded.graph, nullptr) << workflow::JoinMessages(loaded.diagnostics);
  Frame branch;
  branch.start = loaded.graph->FindNode("a")->index;
  branch.ended = OutcomeStatus::kSuccess;
  branch.context["value"] = JsonString(std::string(kMaxResultValue - 2, 'x'));
  const std::vector<const Frame*> branches(kMaxBranches, &branch);
  const Outcome outcome = JoinedOutcome(*loaded.graph, *loaded.graph->FindNode("fan"), branches);
  EXPECT_EQ(outcome.status, OutcomeStatus::kSuccess);
  const std::string& results = outcome.context_updates.at("parallel.results");
  EXPECT_GT(results.size(), kMaxResults);
  EXPECT_LT(results.size(), kMaxResults + kMaxResultValue + kMaxBranches * 200);
  std::size_t named = 0;
  for (std::size_t at = results.find("{\"id\":\"a\""); at != std::string::npos;
       at = results.find("{\"id\":\"a\"", at + 1)) {
    ++named;
  }
  EXPECT_EQ(named, kMaxBranches);
}

}  // namespace
}  // namespace fabro::engine
