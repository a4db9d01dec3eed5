// Random deeds on many runs: slots are never exceeded nor lost, every run ends as it was told.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro::runtime {
namespace {

using testing::RunWorld;
using testing::SeededRandom;
using testing::TempDirectory;
using testing::WorldOptions;

constexpr int kRuns = 64;
constexpr int kAtOnce = 3;  // stages of one run, in its one slot
constexpr const char* kMixed = R"(digraph mixed {
  start -> a -> nap -> flaky -> gate
  a [shape=parallelogram, script=a]
  nap [type="wait", duration="30s"]
  flaky [shape=parallelogram, script=f, retry_policy=patient]
  gate [shape=hexagon, label="Go on?"]
  b [shape=parallelogram, script=b]
  gate -> b [label="[Y] Yes"]
  gate -> a [label="[N] Again"]
  b -> exit
})";
// Branches that work, wait, retry and ask side by side, and a race whose losers are stopped.
constexpr const char* kBranches = R"(digraph branches {
  start -> fan
  fan [shape=component, max_parallel=3]
  a [shape=parallelogram, script=a]
  nap [type="wait", duration="30s"]
  flaky [shape=parallelogram, script=f, retry_policy=patient]
  gate [shape=hexagon, label="Go on?"]
  b [shape=parallelogram, script=b]
  join [shape=tripleoctagon]
  fan -> a -> join
  fan -> nap -> flaky -> join
  fan -> gate
  fan -> b -> join
  gate -> b [label="[Y] Yes"]
  gate -> a [label="[N] Again"]
  join -> race
  race [shape=component, join_policy=first_success]
  quick [shape=parallelogram, script=q]
  slow [shape=parallelogram, script=s]
  last [shape=tripleoctagon]
  race -> quick -> last
  race -> slow -> last
  last -> exit
})";

engine::Outcome Retry() {
  engine::Outcome outcome;
  outcome.status = engine::OutcomeStatus::kRetry;
  return outcome;
}

// What is refused may be: the run has moved on meanwhile.
void Tell(RunWorld& world, RunId run, SeededRandom& random, bool allow_cancel) {
  const std::size_t deed = random.Below(allow_cancel ? 8 : 7);
  absl::StatusOr<storage::RunRow> told = world.Row(run);
  if (deed < 2) told = world.Tell(run, engine::Pause{"p"});
  if (deed == 2 || deed == 3) told = world.Tell(run, engine::Unpause{"p"});
  if (deed > 3 && deed < 7) {
    const auto asked = world.CountEvents(run, v1::Event::kInterviewStarted);
    told = world.AnswerWith(run, "q-" + std::to_string(asked), random.Below(4) == 0 ? "n" : "y");
  }
  if (deed == 7) told = world.Tell(run, engine::Cancel{"p"});
  const bool refused = absl::IsFailedPrecondition(told.status()) || absl::IsNotFound(told.status());
  EXPECT_TRUE(told.ok() || refused) << told.status();
}

void ExpectSound(RunWorld& world, RunId run) {
  const storage::RunRow row = world.Row(run);
  const std::vector<v1::Event> events = world.Events(run);
  ASSERT_EQ(events.size(), ToUint(row.head));
  int ends = 0;
  std::map<std::string, int> in_stage;  // by node, from the first attempt to the one end
  for (const v1::Event& event : events) {
    if (event.has_stage_started() && event.stage_started().attempt() == 1) {
      ++in_stage[event.stage_started().node_id()];
    }
    const bool failed = event.has_stage_failed() && !event.stage_failed().will_retry();
    if (failed || event.has_stage_completed()) {
      const std::string& node = failed ? event.stage_failed().node_id() : event.stage_completed().node_id();
      EXPECT_GE(--in_stage[node], 0) << event.ShortDebugString();
    }
    ends += event.has_workflow_run_completed() || event.has_workflow_run_failed() ||
                    event.has_workflow_run_cancelled()
                ? 1
                : 0;
  }
  EXPECT_EQ(ends, 1);
  for (const auto& [node, open] : in_stage) EXPECT_EQ(open, 0) << node;
  EXPECT_EQ(row.queue_state, storage::QueueState::kNone);
  EXPECT_FALSE(row.wake_at);
}

// Unpauses, answers and lets time pass until all have ended.
void HelpToTheEnd(RunWorld& world, std::vector<RunId> runs) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(40);
  while (!runs.empty()) {
    std::erase_if(runs, [&](RunId run) { return IsTerminal(world.Row(run).status); });
    for (const RunId run : runs) {
      const storage::RunRow row = world.Row(run);
      if (row.status == RunStatus::kPaused) (void)world.Tell(run, engine::Unpause{});
      if (row.open_questions == 0) continue;
      const auto asked = world.CountEvents(run, v1::Event::kInterviewStarted);
      (void)world.AnswerWith(run, "q-" + std::to_string(asked), "y");
    }
    world.time.Advance(std::chrono::seconds(10));
    ASSERT_LT(std::chrono::steady_clock::now(), give_up)
        << runs.size() << " runs do not end, the first is " << ToString(world.Row(runs[0]).status) << " at "
        << world.Row(runs[0]).current_node;
  }
}

void Play(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  const TempDirectory folder;
  SeededRandom random(seed);
  WorldOptions options;
  options.folder = folder.path();
  options.slots = 1 + random.Below(4);
  options.seed = seed;
  auto world = std::make_unique<RunWorld>(options);
  const std::size_t slots = options.slots;
  const auto script = [&random](stages::StageRequest request,
                                stages::StageOutputSink* sink) -> Task<engine::Outcome> {
    if (random.Below(2) == 0) co_await sink->Write(random.Below(2) == 0, "words\n");
    if (request.node->id == "flaky" && random.Below(3) == 0) co_return Retry();
    co_return engine::Outcome{};
  };
  world->stages.SetScript(script);
  world->Start();
  std::vector<RunId> runs;
  const int deeds = 4 * kRuns;
  for (int i = 0; i < deeds; ++i) {
    if (runs.size() < kRuns && (runs.empty() || random.Below(2) == 0)) {
      runs.push_back(world->Create(random.Below(2) == 0 ? kMixed : kBranches));
    }
    Tell(*world, runs[random.Below(runs.size())], random, true);
    if (random.Below(3) == 0) world->time.Advance(std::chrono::seconds(random.Below(40)));
    if (random.Below(8) == 0) world->admission.SetSlots(1 + random.Below(slots));
    if (random.Below(100) == 0) {  // a new server on the same store
      world->Stop(std::chrono::milliseconds(random.Below(2)));
      EXPECT_LE(world->stages.most_active(), kAtOnce * static_cast<int>(slots));
      options.now = world->time.Now();
      world.reset();
      world = std::make_unique<RunWorld>(options);
      world->stages.SetScript(script);
      world->Start();
    }
  }
  world->admission.SetSlots(slots);
  HelpToTheEnd(*world, runs);
  if (::testing::Test::HasFailure()) return;
  for (const RunId run : runs) ExpectSound(*world, run);
  world->AwaitNoActors();
  const auto counts = world->admission.counts();
  EXPECT_EQ(counts.held, 0U);
  EXPECT_EQ(counts.waiting_new + counts.waiting_resumable, 0U);
  EXPECT_LE(world->stages.most_active(), kAtOnce * static_cast<int>(slots));
  EXPECT_EQ(world->stages.active(), 0);
}

TEST(Runtime, RandomDeedsLoseNeitherRunsNorSlots) {
  const int seeds = std::getenv("FABRO_SOAK") != nullptr ? 50 : 3;
  for (int seed = 1; seed <= seeds && !::testing::Test::HasFailure(); ++seed)
    Play(static_cast<std::uint64_t>(seed));
}

}  // namespace
}  // namespace fabro::runtime
