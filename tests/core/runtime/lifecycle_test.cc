// What happens before a run's first stage, beside its stages and after its end, on the real store.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/base/strings.h"
#include "core/runtime/supervisor.h"
#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RunWorld;
using testing::TempDirectory;
using testing::WorldOptions;

constexpr const char* kLine = R"(digraph line { start -> build -> test -> exit
  build [shape=parallelogram, script="make"]
  test [shape=parallelogram, script="test"] })";
constexpr const char* kParent = R"(digraph parent {
  start -> child -> after -> exit
  child [shape=house, stack.child_workflow="sub.dot", manager.poll_interval="30s"]
  after [shape=parallelogram, script="after"]
})";
constexpr const char* kChild =
    R"(digraph sub { begin [shape=Mdiamond] begin -> inner -> exit  inner [shape=parallelogram, script="i"] })";

// Prepares as it is told to, and counts.
class ScriptedPreparer final : public stages::RunPreparer {
 public:
  bool IsNeeded(const stages::RunContext&) const override { return true; }
  Task<engine::Prepared> Prepare(stages::RunContext context, stages::PreparationSink* sink) override {
    ++prepared;
    engine::SetupStarted step;
    step.command_count = 1;
    co_await sink->Tell(engine::PreparationStep(step));
    engine::Prepared done;
    done.work_dir = context.work_dir + "/tree";
    if (hold) {
      const absl::Status waited = co_await release.Wait();
      if (!waited.ok()) ++stopped;
    }
    if (fails) done.failure = "set-up failed";
    co_return done;
  }
  Task<void> CleanUp(stages::RunContext, engine::Prepared before, engine::RunEnd end) override {
    last_end = end;
    last_work_dir = before.work_dir;
    ++clean_ups_begun;
    if (hold_clean_up) {
      const absl::Status waited = co_await release.Wait();
      if (!waited.ok()) co_return;
    }
    ++cleaned;
  }

  std::atomic<bool> fails = false;
  std::atomic<bool> hold = false;
  std::atomic<bool> hold_clean_up = false;
  std::atomic<int> prepared = 0;
  std::atomic<int> stopped = 0;
  std::atomic<int> clean_ups_begun = 0;
  std::atomic<int> cleaned = 0;
  Waiter release;
  engine::RunEnd last_end;
  std::string last_work_dir;
};

class MapSource final : public WorkflowSource {
 public:
  Task<absl::StatusOr<std::string>> ReadWorkflow(std::string path) override {
    const auto found = files.find(path);
    if (found == files.end()) co_return NotFound(Reason::kNotFound, path, StrCat("no workflow ", path));
    co_return found->second;
  }
  std::map<std::string, std::string> files;
};

class LifecycleTest : public ::testing::Test {
 protected:
  RunWorld& Begin(std::size_t slots = 5, stages::RunPreparer* preparer = nullptr) {
    WorldOptions options;
    options.folder = folder_.path();
    options.slots = slots;
    options.preparer = preparer;
    options.workflows = &source_;
    if (world_) options.now = world_->time.Now();
    world_.reset();
    world_ = std::make_unique<RunWorld>(options);
    world_->Start();
    return *world_;
  }
  RunWorld& Again(stages::RunPreparer* preparer = nullptr) {
    world_->Stop(milliseconds(0));
    return Begin(5, preparer);
  }
  void Await(const std::function<bool()>& happened) {
    const auto give_up = std::chrono::steady_clock::now() + seconds(20);
    while (!happened()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::yield();
    }
  }
  std::optional<storage::RunRow> ChildOf(RunId parent) {
    storage::RunFilter filter;
    filter.parent = parent;
    const auto page = world_->Await(world_->store->ListRuns(filter, 10, 0));
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->rows.empty()) return std::nullopt;
    return page->rows.front();
  }
  storage::RunRow AwaitChildOf(RunId parent) {
    Await([&] { return ChildOf(parent).has_value(); });
    return *ChildOf(parent);
  }
  std::string FailureOf(RunId run) {  // of its last failed stage
    std::string message;
    for (const v1::Event& event : world_->Events(run)) {
      if (event.has_stage_failed()) message = event.stage_failed().failure().message();
    }
    return message;
  }
  void ExpectNothingHeld() {
    world_->AwaitNoActors();
    EXPECT_EQ(world_->admission.counts().held, 0U);
  }

  TempDirectory folder_;
  MapSource source_;
  std::unique_ptr<RunWorld> world_;
};

bool IsParked(const storage::RunRow& row) { return row.queue_state == storage::QueueState::kNone; }

TEST_F(LifecycleTest, ARunIsPreparedBeforeAndCleanedUpAfter) {
  ScriptedPreparer preparer;
  RunWorld& world = Begin(1, &preparer);
  std::string work_dir;
  world.stages.SetScript(
      [&](stages::StageRequest request, stages::StageOutputSink*) -> Task<engine::Outcome> {
        work_dir = request.prepared.work_dir;
        co_return engine::Outcome{};
      });
  const RunId run = world.Create(kLine);
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
  EXPECT_EQ(preparer.prepared, 1);
  EXPECT_EQ(preparer.cleaned, 1);
  EXPECT_EQ(preparer.last_end.how, engine::RunEnd::How::kCompleted);
  EXPECT_EQ(work_dir, DefaultWorkDir("/runs", run) + "/tree");
  EXPECT_EQ(preparer.last_work_dir, work_dir);
  EXPECT_EQ(world.CountEvents(run, v1::Event::kSetupStarted), 1);
  EXPECT_TRUE(world.Events(run).back().has_workflow_run_completed());
  EXPECT_TRUE(IsParked(world.Row(run)));
}

TEST_F(LifecycleTest, AFailedPreparationFailsTheRun) {
  ScriptedPreparer preparer;
  preparer.fails = true;
  RunWorld& world = Begin(1, &preparer);
  const RunId run = world.Create(kLine);
  const storage::RunRow row = world.AwaitEnd(run);
  EXPECT_EQ(row.status, RunStatus::kFailed);
  EXPECT_EQ(row.error, "set-up failed");
  EXPECT_EQ(world.stages.started("build"), 0);
  ExpectNothingHeld();
  EXPECT_EQ(preparer.last_end.error, "set-up failed");
  EXPECT_EQ(preparer.cleaned, 1);
}

TEST_F(LifecycleTest, CancelStopsThePreparation) {
  ScriptedPreparer preparer;
  preparer.hold = true;
  RunWorld& world = Begin(1, &preparer);
  const RunId run = world.Create(kLine);
  world.AwaitRow(run, [](const auto& row) { return row.head == EventSeq{2}; });
  const auto cancelled = world.Tell(run, engine::Cancel{"ann"});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->status, RunStatus::kCancelled);
  ExpectNothingHeld();
  EXPECT_EQ(preparer.stopped, 1);
  EXPECT_EQ(preparer.cleaned, 1);
  EXPECT_EQ(preparer.last_end.how, engine::RunEnd::How::kCancelled);
}

TEST_F(LifecycleTest, AStopDuringThePreparationRepeatsIt) {
  ScriptedPreparer first;
  first.hold = true;
  RunWorld& before = Begin(1, &first);
  const RunId run = before.Create(kLine);
  before.AwaitRow(run, [](const auto& row) { return row.head == EventSeq{2}; });
  ScriptedPreparer second;
  RunWorld& world = Again(&second);
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
  EXPECT_EQ(first.cleaned, 0);
  EXPECT_EQ(second.prepared, 1);
  EXPECT_EQ(second.cleaned, 1);
}

TEST_F(LifecycleTest, AStopDuringTheCleanUpRepeatsIt) {
  ScriptedPreparer first;
  first.hold_clean_up = true;
  RunWorld& before = Begin(1, &first);
  const RunId run = before.Create(kLine);
  EXPECT_EQ(before.AwaitEnd(run).status, RunStatus::kCompleted);
  Await([&] { return first.clean_ups_begun == 1; });
  const EventSeq head = before.Row(run).head;
  ScriptedPreparer second;
  RunWorld& world = Again(&second);
  Await([&] { return second.cleaned == 1; });
  ExpectNothingHeld();
  EXPECT_EQ(first.cleaned, 0);
  EXPECT_EQ(world.Row(run).head, head);
  EXPECT_EQ(world.Row(run).status, RunStatus::kCompleted);
  EXPECT_TRUE(IsParked(world.Row(run)));
}

TEST_F(LifecycleTest, ARunThatOnlyWaitsIsNotCleanedUp) {
  ScriptedPreparer preparer;
  RunWorld& world = Begin(1, &preparer);
  const RunId run = world.Create(R"(digraph gate { start -> gate  gate [shape=hexagon, label="Go on?"]
    gate -> exit [label="[Y] Yes"]  gate -> again [label="[N] No"]  again [shape=parallelogram, script=s]
    again -> exit })");
  EXPECT_TRUE(IsParked(world.AwaitQuestion(run)));
  ExpectNothingHeld();
  EXPECT_EQ(preparer.clean_ups_begun, 0);
  ASSERT_TRUE(world.AnswerWith(run, "q-1", "y").ok());
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
  EXPECT_EQ(preparer.clean_ups_begun, 1);
  EXPECT_EQ(preparer.prepared, 1);
}

TEST_F(LifecycleTest, ARunThatNeverBeganLeavesNothingToCleanUp) {
  ScriptedPreparer preparer;
  RunWorld& world = Begin(0, &preparer);
  const RunId run = world.Create(kLine);
  ASSERT_TRUE(world.Tell(run, engine::Cancel{"ann"}).ok());
  ExpectNothingHeld();
  EXPECT_EQ(preparer.clean_ups_begun, 0);
}

TEST_F(LifecycleTest, AChildRunsWhileItsParentHoldsNoSlot) {
  RunWorld& world = Begin(1);
  source_.files["sub.dot"] = kChild;
  world.stages.Hold("inner");
  runtime::NewRun made = world.MakeRun(kParent);
  made.row.created_by = "ann";
  made.row.labels = {{"team", "a"}};
  const RunId parent = made.row.id;
  ASSERT_TRUE(world.Await(world.supervisor.Create(std::move(made))).ok());
  world.stages.AwaitRunning("inner", 1);  // there is one slot
  const storage::RunRow child = AwaitChildOf(parent);
  EXPECT_EQ(child.created_by, "ann");
  EXPECT_EQ(child.labels, world.Row(parent).labels);
  EXPECT_TRUE(IsParked(world.Row(parent)));
  world.stages.Finish("inner");
  EXPECT_EQ(world.AwaitEnd(child.id).status, RunStatus::kCompleted);
  EXPECT_EQ(world.AwaitEnd(parent).status, RunStatus::kCompleted);
  EXPECT_EQ(world.CountEvents(parent, v1::Event::kSubgraphStarted), 1);
  EXPECT_EQ(world.CountEvents(parent, v1::Event::kSubgraphCompleted), 1);
  EXPECT_EQ(world.stages.started("after"), 1);
  ExpectNothingHeld();
}

TEST_F(LifecycleTest, AChildIsNotMadeTwiceByARestart) {
  source_.files["sub.dot"] = kChild;
  RunWorld& before = Begin();
  before.stages.Hold("inner");
  const RunId parent = before.Create(kParent);
  before.stages.AwaitRunning("inner", 1);
  const RunId child = AwaitChildOf(parent).id;
  RunWorld& world = Again();
  EXPECT_EQ(world.AwaitEnd(child).status, RunStatus::kCompleted);
  EXPECT_EQ(world.AwaitEnd(parent).status, RunStatus::kCompleted);
  EXPECT_EQ(AwaitChildOf(parent).id, child);
  ExpectNothingHeld();
}

TEST_F(LifecycleTest, CancellingTheParentCancelsTheChild) {
  source_.files["sub.dot"] = kChild;
  RunWorld& world = Begin();
  world.stages.Hold("inner");
  const RunId parent = world.Create(kParent);
  world.stages.AwaitRunning("inner", 1);
  const RunId child = AwaitChildOf(parent).id;
  ASSERT_TRUE(world.Tell(parent, engine::Cancel{"ann"}).ok());
  EXPECT_EQ(world.AwaitEnd(child).status, RunStatus::kCancelled);
  ExpectNothingHeld();
  EXPECT_TRUE(IsParked(world.Row(parent)));
}

TEST_F(LifecycleTest, AChildThatCannotBeMadeFailsItsStage) {
  RunWorld& world = Begin();
  const RunId parent = world.Create(kParent);
  world.AwaitEnd(parent);
  EXPECT_EQ(FailureOf(parent), "no workflow sub.dot");
  source_.files["sub.dot"] = "digraph sub { one }";
  const RunId again = world.Create(kParent);
  world.AwaitEnd(again);
  EXPECT_TRUE(FailureOf(again).starts_with("the child workflow of child is not valid: ")) << FailureOf(again);
  ExpectNothingHeld();
}

TEST_F(LifecycleTest, ChildrenOfChildrenHaveABottom) {
  source_.files["sub.dot"] = R"(digraph sub { start -> down -> exit
    down [shape=house, stack.child_workflow="sub.dot", goal_gate=true] })";
  RunWorld& world = Begin();
  const RunId top = world.Create(source_.files["sub.dot"]);
  EXPECT_EQ(world.AwaitEnd(top).status, RunStatus::kFailed);
  int depth = 0;
  storage::RunRow last = world.Row(top);
  while (const std::optional<storage::RunRow> below = ChildOf(last.id)) {
    last = *below;
    ++depth;
  }
  EXPECT_EQ(depth, kMaxDepth);
  EXPECT_EQ(FailureOf(last.id), "Child runs may stand at most 8 deep.");
  ExpectNothingHeld();
}

TEST_F(LifecycleTest, AStopConditionOverTheChildsContextStopsIt) {
  source_.files["sub.dot"] = R"(digraph sub { start -> one -> two -> exit
    one [shape=parallelogram, script="1"] two [shape=parallelogram, script="2"] })";
  RunWorld& world = Begin();
  world.stages.Hold("two");
  engine::Outcome good;
  good.context_updates["good"] = "1";
  world.stages.SetOutcome("one", good);
  const RunId parent = world.Create(R"(digraph parent { start -> child -> exit
    child [shape=house, stack.child_workflow="sub.dot", manager.poll_interval="30s",
           manager.stop_condition="context.good=1"] })");
  world.stages.AwaitRunning("two", 1);
  const RunId child = AwaitChildOf(parent).id;
  const auto waiting = world.AwaitRow(parent, [](const auto& row) { return row.wake_at && IsParked(row); });
  world.time.AdvanceToSleeper(*waiting.wake_at);
  EXPECT_EQ(world.AwaitEnd(parent).status, RunStatus::kCompleted);
  EXPECT_EQ(world.AwaitEnd(child).status, RunStatus::kCancelled);
  ExpectNothingHeld();
}

TEST_F(LifecycleTest, RewindsAndForks) {
  RunWorld& world = Begin(2);
  world.stages.Hold("test");
  const RunId run = world.Create(kLine);
  world.stages.AwaitRunning("test", 1);
  const auto checkpoints = world.Await(world.supervisor.Checkpoints(run));
  ASSERT_TRUE(checkpoints.ok()) << checkpoints.status();
  ASSERT_EQ(checkpoints->size(), 2U);
  EXPECT_EQ((*checkpoints)[1].node_id, "build");

  const auto rewound = world.Await(world.supervisor.Rewind(run, (*checkpoints)[0].id, "ann"));
  ASSERT_TRUE(rewound.ok()) << rewound.status();
  Await([&] { return world.stages.started("test") == 2; });
  EXPECT_EQ(world.stages.started("build"), 2);

  ForkRequest request;
  request.id = world.run_ids.Next(world.time.Now());
  request.checkpoint = (*checkpoints)[1].id;
  request.title = "again";
  request.by = "bob";
  const RunId fork_id = request.id;
  const auto fork = world.Await(world.supervisor.Fork(run, std::move(request)));
  ASSERT_TRUE(fork.ok()) << fork.status();
  EXPECT_EQ(fork->status, RunStatus::kRunning);
  EXPECT_EQ(fork->title, "again");
  EXPECT_EQ(world.Row(fork_id).forked_from, run);
  world.stages.AwaitRunning("test", 2);
  EXPECT_EQ(world.stages.started("build"), 2);
  world.stages.Finish("test");
  world.stages.Finish("test");
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world.AwaitEnd(fork_id).status, RunStatus::kCompleted);
  EXPECT_EQ(world.Events(fork_id).front().workflow_run_started().forked_from_run_id(), run.ToString());

  EXPECT_EQ(ReasonOf(world.Await(world.supervisor.Rewind(run, (*checkpoints)[0].id, "ann")).status()),
            Reason::kRunTerminal);
  for (const std::uint64_t wrong : {0, 1, 999}) {
    const auto refused = world.Await(world.supervisor.Rewind(run, EventSeq(wrong), "ann"));
    EXPECT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
  }
  ExpectNothingHeld();
}

// Both would work on the same files.
TEST_F(LifecycleTest, AfterARewindTheNextStageWaitsForTheOneBeforeToDie) {
  RunWorld& world = Begin();
  world.stages.Hold("test");
  const RunId run = world.Create(kLine);
  world.stages.AwaitRunning("test", 1);
  world.stages.SetSlowToDie(true);
  ASSERT_TRUE(world.Await(world.supervisor.Rewind(run, EventSeq{9}, "ann")).ok());
  world.stages.AwaitDying(1);
  EXPECT_EQ(world.stages.started("test"), 1);
  world.stages.LetDie();
  world.stages.AwaitRunning("test", 1);
  EXPECT_EQ(world.stages.most_active(), 1);
  world.stages.Finish("test");
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(LifecycleTest, AForkThatWaitsForItsSlotSurvivesARestart) {
  RunWorld& before = Begin(1);
  before.stages.Hold("test");
  const RunId run = before.Create(kLine);
  before.stages.AwaitRunning("test", 1);
  ForkRequest request;
  request.id = before.run_ids.Next(before.time.Now());
  const RunId fork = request.id;
  ASSERT_TRUE(before.Await(before.supervisor.Fork(run, std::move(request))).ok());
  EXPECT_EQ(before.Row(fork).queue_state, storage::QueueState::kResumable);
  RunWorld& world = Again();
  EXPECT_EQ(world.AwaitEnd(fork).status, RunStatus::kCompleted);
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

}  // namespace
}  // namespace fabro::runtime
