// One run's life under its supervisor, on the real store.
#include "core/runtime/supervisor.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::RunWorld;
using testing::TempDirectory;
using testing::WorldOptions;

constexpr const char* kLine =
    R"(digraph line { start -> build -> exit  build [shape=parallelogram, script="make"] })";
constexpr const char* kGate = R"(digraph gate {
  start -> gate
  gate [shape=hexagon, label="Ship?"]
  ship [shape=parallelogram, script="ship"]
  gate -> ship [label="[A] Approve"]
  gate -> exit [label="[R] Reject"]
  ship -> exit
})";
constexpr const char* kWait = R"(digraph wait { start -> nap -> exit  nap [type="wait", duration="90s"] })";
constexpr const char* kFlaky = R"(digraph flaky {
  start -> fetch -> exit
  fetch [shape=parallelogram, script="curl", retry_policy=patient]
})";

class SupervisorTest : public ::testing::Test {
 protected:
  RunWorld& Begin(std::size_t slots = 5, std::uint64_t seed = 1) {
    Open(slots, seed).Start();
    return *world_;
  }
  // Not started: a server that has opened its store.
  RunWorld& Open(std::size_t slots = 5, std::uint64_t seed = 1) {
    WorldOptions options;
    options.folder = folder_.path();
    options.slots = slots;
    options.seed = seed;
    if (world_) options.now = world_->time.Now();
    world_.reset();
    world_ = std::make_unique<RunWorld>(options);
    return *world_;
  }
  // A server that was stopped and starts anew on the same folder.
  RunWorld& Again(milliseconds grace) {
    world_->Stop(grace);
    return Begin();
  }
  void ExpectNothingHeld() {
    world_->AwaitNoActors();
    EXPECT_EQ(world_->admission.counts().held, 0U);
  }

  TempDirectory folder_;
  std::unique_ptr<RunWorld> world_;
};

TEST_F(SupervisorTest, RunsToTheEndAndLetsGoOfTheRun) {
  RunWorld& world = Begin();
  const RunId run = world.Create(kLine);
  const storage::RunRow row = world.AwaitEnd(run);
  EXPECT_EQ(row.status, RunStatus::kCompleted);
  EXPECT_EQ(row.outcome, "success");
  EXPECT_EQ(row.queue_state, storage::QueueState::kNone);
  EXPECT_TRUE(world.Events(run).back().has_workflow_run_completed());
  EXPECT_EQ(world.Events(run).size(), ToUint(row.head));
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AGateParksAndAnAnswerBringsTheRunBack) {
  RunWorld& world = Begin();
  const RunId run = world.Create(kGate);
  const storage::RunRow asking = world.AwaitQuestion(run);
  EXPECT_EQ(asking.status, RunStatus::kRunning);
  EXPECT_EQ(asking.queue_state, storage::QueueState::kNone);
  EXPECT_EQ(asking.question_text, "Ship?");
  ExpectNothingHeld();
  const auto answered = world.AnswerWith(run, "q-1", "a");
  ASSERT_TRUE(answered.ok()) << answered.status();
  EXPECT_EQ(answered->open_questions, 0);
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world.stages.started("ship"), 1);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AWaitParksUntilItsTime) {
  RunWorld& world = Begin();
  const RunId run = world.Create(kWait);
  const storage::RunRow row = world.AwaitRow(run, [](const auto& r) { return r.wake_at.has_value(); });
  EXPECT_EQ(*row.wake_at, world.time.Now() + seconds(90));
  ExpectNothingHeld();
  world.time.AwaitSleeper(seconds(90));
  world.time.Advance(seconds(89));
  EXPECT_FALSE(IsTerminal(world.Row(run).status));
  world.time.Advance(seconds(1));
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, RetriesAfterTheirDelays) {
  RunWorld& world = Begin();
  world.stages.Hold("fetch");
  const RunId run = world.Create(kFlaky);
  engine::Outcome again;
  again.status = engine::OutcomeStatus::kRetry;
  for (int attempt = 1; attempt <= 2; ++attempt) {
    world.stages.Finish("fetch", again);
    const auto waiting = world.AwaitRow(run, [](const auto& row) { return row.wake_at.has_value(); });
    EXPECT_EQ(world.stages.started("fetch"), attempt);
    world.time.AdvanceToSleeper(*waiting.wake_at);
  }
  world.stages.Finish("fetch");
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world.CountEvents(run, v1::Event::kStageRetrying), 2);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, PausesBetweenStagesAndGoesOn) {
  RunWorld& world = Begin();
  world.stages.Hold("build");
  const RunId run = world.Create(kLine);
  world.stages.AwaitRunning("build", 1);
  const auto paused = world.Tell(run, engine::Pause{"ann"});
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->status, RunStatus::kPaused);
  world.stages.Finish("build");
  ExpectNothingHeld();
  EXPECT_EQ(world.Row(run).status, RunStatus::kPaused);
  const auto unpaused = world.Tell(run, engine::Unpause{"ann"});
  ASSERT_TRUE(unpaused.ok()) << unpaused.status();
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, ATimeThatPassesWhilePausedCountsAtTheUnpause) {
  RunWorld& world = Begin();
  const RunId run = world.Create(kWait);
  world.AwaitRow(run, [](const auto& row) { return row.wake_at.has_value(); });
  ASSERT_TRUE(world.Tell(run, engine::Pause{}).ok());
  world.time.Advance(seconds(500));
  EXPECT_EQ(world.Row(run).status, RunStatus::kPaused);
  ASSERT_TRUE(world.Tell(run, engine::Unpause{}).ok());
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, CancelsARunInTheQueue) {
  RunWorld& world = Begin(1);
  world.stages.Hold("build");
  const RunId first = world.Create(kLine);
  world.stages.AwaitRunning("build", 1);
  const RunId second = world.Create(kLine);
  const RunId third = world.Create(kLine);
  EXPECT_EQ(world.admission.QueuePosition(third), 2);
  const auto cancelled = world.Tell(second, engine::Cancel{"ann"});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->status, RunStatus::kCancelled);
  EXPECT_EQ(world.admission.QueuePosition(third), 1);
  world.stages.Finish("build");
  EXPECT_EQ(world.AwaitEnd(first).status, RunStatus::kCompleted);
  world.stages.Finish("build");
  EXPECT_EQ(world.AwaitEnd(third).status, RunStatus::kCompleted);
  EXPECT_EQ(world.Events(second).size(), 1U);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, ACancelledStageKeepsItsSlotUntilItIsGone) {
  RunWorld& world = Begin(1);
  world.stages.Hold("build");
  world.stages.SetSlowToDie(true);
  const RunId run = world.Create(kLine);
  world.stages.AwaitRunning("build", 1);
  const RunId next = world.Create(kLine);
  const auto cancelled = world.Tell(run, engine::Cancel{"ann"});
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->status, RunStatus::kCancelled);
  const std::size_t events = world.Events(run).size();
  world.stages.AwaitDying(1);
  EXPECT_EQ(world.admission.counts().held, 1U);
  EXPECT_EQ(world.Row(next).status, RunStatus::kQueued);
  world.stages.LetDie();
  world.stages.Finish("build");
  EXPECT_EQ(world.AwaitEnd(next).status, RunStatus::kCompleted);
  EXPECT_EQ(world.Events(run).size(), events);
  EXPECT_EQ(world.stages.most_active(), 1);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, CancelsParkedAndPausedRuns) {
  RunWorld& world = Begin();
  for (const char* source : {kGate, kWait}) {
    for (const bool paused : {false, true}) {
      const RunId run = world.Create(source);
      world.AwaitRow(run, [](const auto& row) { return row.wake_at || row.open_questions > 0; });
      if (paused) {
        ASSERT_TRUE(world.Tell(run, engine::Pause{}).ok());
      }
      const auto cancelled = world.Tell(run, engine::Cancel{"ann"});
      ASSERT_TRUE(cancelled.ok()) << cancelled.status();
      EXPECT_EQ(cancelled->status, RunStatus::kCancelled);
      EXPECT_EQ(cancelled->open_questions, 0);
      EXPECT_FALSE(cancelled->wake_at);
    }
  }
  world.time.Advance(seconds(1000));
  ExpectNothingHeld();
}

constexpr const char* kFan = R"(digraph fan {
  start -> fan
  fan [shape=component]
  a [shape=parallelogram, script="a"]
  b [shape=parallelogram, script="b"]
  join [shape=tripleoctagon]
  fan -> a -> join
  fan -> b -> join
  join -> exit
})";
constexpr const char* kRace = R"(digraph race {
  start -> fan
  fan [shape=component, join_policy=first_success]
  a [shape=parallelogram, script="a"]
  b [shape=parallelogram, script="b"]
  join [shape=tripleoctagon]
  fan -> a -> join
  fan -> b -> join
  join -> gate
  gate [shape=hexagon, label="Ship?"]
  ship [shape=parallelogram, script="ship"]
  gate -> ship [label="Yes"]
  ship -> exit
})";

TEST_F(SupervisorTest, BranchesWorkSideBySideInOneSlot) {
  RunWorld& world = Begin(1);
  world.stages.Hold("a");
  world.stages.Hold("b");
  const RunId run = world.Create(kFan);
  world.stages.AwaitRunning("a", 1);
  world.stages.AwaitRunning("b", 1);
  EXPECT_EQ(world.admission.counts().held, 1U);
  world.stages.Finish("b");
  world.AwaitRow(run, [](const auto& row) { return row.stage_count == 2; });
  EXPECT_EQ(world.stages.active(), 1);
  world.stages.Finish("a");
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, CancelStopsEveryBranchAndKeepsTheSlotUntilTheLastIsGone) {
  RunWorld& world = Begin(1);
  world.stages.Hold("a");
  world.stages.Hold("b");
  world.stages.SetSlowToDie(true);
  const RunId run = world.Create(kFan);
  world.stages.AwaitRunning("a", 1);
  world.stages.AwaitRunning("b", 1);
  const auto cancelled = world.Tell(run, engine::Cancel{"ann"});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->status, RunStatus::kCancelled);
  world.stages.AwaitDying(2);
  EXPECT_EQ(world.admission.counts().held, 1U);
  world.stages.LetDie();
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AFinishedBranchIsNotRepeatedAfterARestart) {
  Begin();
  world_->stages.Hold("b");
  const RunId run = world_->Create(kFan);
  world_->stages.AwaitRunning("b", 1);
  world_->AwaitRow(run, [](const auto& row) { return row.stage_count == 2; });
  EXPECT_EQ(world_->stages.started("a"), 1);
  RunWorld& world = Again(milliseconds(0));
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world.stages.started("a"), 0);
  EXPECT_EQ(world.stages.started("b"), 1);
  ExpectNothingHeld();
}

// The loser of a race is still dying when the run has parked at a gate: its slot is not free yet, and when
// the answer comes first, the run goes on in it.
TEST_F(SupervisorTest, ARunThatWaitsForItsLoserToDieGoesOnInTheSameSlot) {
  RunWorld& world = Begin(1);
  world.stages.Hold("b");
  world.stages.SetSlowToDie(true);
  const RunId run = world.Create(kRace);
  world.AwaitQuestion(run);
  world.stages.AwaitDying(1);
  const RunId next = world.Create(kLine);
  EXPECT_EQ(world.admission.counts().held, 1U);
  ASSERT_TRUE(world.AnswerWith(run, "q-1", "y").ok());
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world.Row(next).status, RunStatus::kQueued);
  world.stages.LetDie();
  EXPECT_EQ(world.AwaitEnd(next).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, RefusesWhatDoesNotFitWithItsReason) {
  RunWorld& world = Begin();
  world.stages.Hold("build");
  const RunId running = world.Create(kLine);
  world.stages.AwaitRunning("build", 1);
  EXPECT_EQ(ReasonOf(world.Tell(running, engine::Unpause{}).status()), Reason::kRunNotPaused);
  EXPECT_EQ(ReasonOf(world.AnswerWith(running, "q-1", "a").status()), Reason::kQuestionGone);
  world.stages.Finish("build");
  world.AwaitEnd(running);
  EXPECT_EQ(ReasonOf(world.Tell(running, engine::Cancel{}).status()), Reason::kRunNotCancellable);
  EXPECT_EQ(ReasonOf(world.Tell(running, engine::Pause{}).status()), Reason::kRunNotPausable);

  const RunId asking = world.Create(kGate);
  world.AwaitQuestion(asking);
  EXPECT_EQ(ReasonOf(world.AnswerWith(asking, "q-9", "a").status()), Reason::kQuestionGone);
  EXPECT_EQ(ReasonOf(world.AnswerWith(asking, "q-1", "z").status()), Reason::kOptionInvalid);
  ASSERT_TRUE(world.AnswerWith(asking, "q-1", "r").ok());
  EXPECT_EQ(ReasonOf(world.AnswerWith(asking, "q-1", "r").status()), Reason::kQuestionGone);

  const RunId nobody = world.run_ids.Next(world.time.Now());
  EXPECT_EQ(ReasonOf(world.Tell(nobody, engine::Cancel{}).status()), Reason::kRunNotFound);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AKeyThatWasUsedMakesNoSecondRun) {
  RunWorld& world = Begin();
  auto keyed = [&] {
    NewRun run = world.MakeRun(kLine);
    run.idempotency.emplace();
    run.idempotency->principal = "ann";
    run.idempotency->key = "key";
    run.idempotency->request_hash = "hash";
    run.idempotency->response = run.row.id.ToString();
    run.idempotency->now = world.time.Now();
    run.idempotency->expires_at = world.time.Now() + seconds(60);
    return run;
  };
  const auto first = world.Await(world.supervisor.Create(keyed()));
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = world.Await(world.supervisor.Create(keyed()));
  EXPECT_EQ(ReasonOf(second.status()), Reason::kIdempotencyReuse);
  world.AwaitEnd(first->id);
  const auto page = world.Await(world.store->ListRuns(storage::RunFilter(), 10, 0));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->total, 1);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AStageInHandAtTheStopRunsAgainAsANewAttempt) {
  RunWorld* world = &Begin();
  world->stages.Hold("build");
  const RunId run = world->Create(kLine);
  world->stages.AwaitRunning("build", 1);
  const std::size_t before = world->Events(run).size();
  world = &Again(milliseconds(0));
  EXPECT_EQ(world->AwaitEnd(run).status, RunStatus::kCompleted);
  const std::vector<v1::Event> events = world->Events(run);
  ASSERT_GT(events.size(), before + 2);
  EXPECT_TRUE(events[before].has_workflow_run_resumed());
  EXPECT_EQ(events[before].workflow_run_resumed().after(), before);
  EXPECT_EQ(events[before + 1].stage_started().node_id(), "build");
  EXPECT_EQ(events[before + 1].stage_started().attempt(), 2U);
  EXPECT_EQ(world->CountEvents(run, v1::Event::kStageRetrying), 0);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AStopWaitsForTheStageInHandAndBeginsNoOther) {
  RunWorld* world = &Begin();
  world->stages.Hold("one");
  const RunId run = world->Create(R"(digraph two { start -> one -> two -> exit
    one [shape=parallelogram, script=1]  two [shape=parallelogram, script=2] })");
  world->stages.AwaitRunning("one", 1);
  std::thread stopper([&] { world->Stop(seconds(20)); });
  while (ReasonOf(world->Tell(run, engine::Unpause{}).status()) != Reason::kDraining)
    std::this_thread::yield();
  world->stages.Finish("one");
  stopper.join();
  EXPECT_EQ(world->stages.started("two"), 0);
  world = &Begin();
  EXPECT_EQ(world->AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world->stages.started("one"), 0);
  EXPECT_EQ(world->stages.started("two"), 1);
}

TEST_F(SupervisorTest, AStopDoesNotWaitForARunBetweenTwoAttempts) {
  RunWorld* world = &Begin();
  engine::Outcome again;
  again.status = engine::OutcomeStatus::kRetry;
  world->stages.SetOutcome("fetch", again);
  const RunId run = world->Create(R"(digraph short { start -> fetch -> exit
    fetch [shape=parallelogram, script=f, retry_policy=linear] })");
  const auto waiting = world->AwaitRow(run, [](const auto& row) { return row.wake_at.has_value(); });
  EXPECT_EQ(world->admission.counts().held, 1U);
  const auto begun = std::chrono::steady_clock::now();
  world->Stop(seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(30));
  world = &Begin();
  EXPECT_EQ(world->Row(run).wake_at, waiting.wake_at);
  world->time.AdvanceToSleeper(*waiting.wake_at);
  EXPECT_EQ(world->AwaitEnd(run).status, RunStatus::kCompleted);
  EXPECT_EQ(world->stages.started("fetch"), 1);
}

// At a start both are there at once: a slot for a run that had one, and its time, which passed meanwhile.
TEST_F(SupervisorTest, ATimeThatComesWithTheSlotLosesNoSlot) {
  engine::Outcome again;
  again.status = engine::OutcomeStatus::kRetry;
  for (int round = 0; round < 10; ++round) {
    RunWorld* world = &Begin();
    world->stages.SetOutcome("fetch", again);
    const RunId run = world->Create(R"(digraph short { start -> fetch -> exit
      fetch [shape=parallelogram, script=f, retry_policy=linear] })");
    const auto waiting = world->AwaitRow(run, [](const auto& row) { return row.wake_at.has_value(); });
    world->Stop(seconds(60));
    world->time.AdvanceTo(*waiting.wake_at);

    world = &Open();
    world->stages.SetOutcome("fetch", again);
    ASSERT_TRUE(world->Await(world->supervisor.Recover()).ok());
    world->background.Spawn("due", world->supervisor.OnTimersDue({run}));
    // While the run is being read, mostly; it may have come and gone already.
    for (int look = 0; look < 1000 && world->supervisor.actor_count() == 0; ++look) std::this_thread::yield();
    world->admission.Start();
    world->background.Spawn("timers", world->timers.Run());

    const auto last =
        world->AwaitRow(run, [&](const auto& row) { return row.wake_at && *row.wake_at > *waiting.wake_at; });
    world->time.AdvanceToSleeper(*last.wake_at);
    EXPECT_EQ(world->AwaitEnd(run).status, RunStatus::kCompleted);
    EXPECT_EQ(world->stages.started("fetch"), 2);
    ExpectNothingHeld();
    if (HasFailure()) return;
  }
}

TEST_F(SupervisorTest, WhatWaitsOutlivesTheServer) {
  RunWorld* world = &Begin();
  const RunId asking = world->Create(kGate);
  const RunId waiting = world->Create(kWait);
  const RunId paused = world->Create(kGate);
  world->AwaitQuestion(asking);
  world->AwaitQuestion(paused);
  const auto wake_at =
      world->AwaitRow(waiting, [](const auto& row) { return row.wake_at.has_value(); }).wake_at;
  ASSERT_TRUE(world->Tell(paused, engine::Pause{}).ok());
  world = &Again(seconds(5));
  EXPECT_EQ(world->supervisor.actor_count(), 0U);
  EXPECT_EQ(world->Row(waiting).wake_at, wake_at);
  EXPECT_EQ(world->Row(paused).status, RunStatus::kPaused);
  EXPECT_TRUE(world->AnswerWith(asking, "q-1", "a").ok());
  EXPECT_EQ(world->AwaitEnd(asking).status, RunStatus::kCompleted);
  world->time.AdvanceToSleeper(*wake_at);
  EXPECT_EQ(world->AwaitEnd(waiting).status, RunStatus::kCompleted);
  ASSERT_TRUE(world->Tell(paused, engine::Unpause{}).ok());
  EXPECT_TRUE(world->AnswerWith(paused, "q-1", "r").ok());
  EXPECT_EQ(world->AwaitEnd(paused).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, RunsThatComeBackGoBeforeNewOnes) {
  RunWorld& world = Begin(1);
  const RunId asking = world.Create(kGate);
  world.AwaitQuestion(asking);
  world.AwaitNoActors();
  world.stages.Hold("build");
  const RunId active = world.Create(kLine);
  world.stages.AwaitRunning("build", 1);
  const RunId fresh = world.Create(kLine);
  ASSERT_TRUE(world.AnswerWith(asking, "q-1", "a").ok());
  EXPECT_EQ(world.Row(asking).queue_state, storage::QueueState::kResumable);
  world.stages.Finish("build");
  EXPECT_EQ(world.AwaitEnd(asking).status, RunStatus::kCompleted);
  world.stages.Finish("build");
  EXPECT_EQ(world.AwaitEnd(active).status, RunStatus::kCompleted);
  EXPECT_EQ(world.AwaitEnd(fresh).status, RunStatus::kCompleted);
  const auto ended = [&](RunId run) { return world.Events(run).back().ts().seconds(); };
  EXPECT_LE(ended(asking), ended(fresh));
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, ASilentStageFailsItsRun) {
  RunWorld& world = Begin();
  world.stages.Hold("build");
  const RunId run = world.Create(R"(digraph silent { stall_timeout="60s"  start -> build -> exit
    build [shape=parallelogram, script="make"] })");
  world.stages.AwaitRunning("build", 1);
  world.time.AwaitSleeper(seconds(60));
  world.time.Advance(seconds(60));
  const storage::RunRow row = world.AwaitEnd(run);
  EXPECT_EQ(row.status, RunStatus::kFailed);
  EXPECT_EQ(world.CountEvents(run, v1::Event::kStallWatchdogTimeout), 1);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, AStageThatSpeaksIsNotSilent) {
  RunWorld& world = Begin();
  Waiter spoken;
  Waiter go_on;
  world.stages.SetScript([&](stages::StageRequest, stages::StageOutputSink* sink) -> Task<engine::Outcome> {
    (void)co_await go_on.Wait();
    co_await sink->Write(false, "still here\n");
    spoken.Complete(absl::OkStatus());
    Waiter never;
    (void)co_await never.Wait();
    co_return engine::Outcome{};
  });
  const RunId run = world.Create(R"(digraph silent { stall_timeout="60s"  start -> build -> exit
    build [shape=parallelogram, script="make"] })");
  world.time.AwaitSleeper(seconds(60));
  world.time.Advance(seconds(50));
  go_on.Complete(absl::OkStatus());
  world.AwaitRow(run, [](const auto& row) { return ToUint(row.head) >= 7; });
  ASSERT_TRUE(world.Await(spoken.Wait()).ok());
  world.time.Advance(seconds(10));
  world.time.AwaitSleeper(seconds(50));  // what is left since it spoke
  EXPECT_EQ(world.Row(run).status, RunStatus::kRunning);
  world.time.Advance(seconds(50));
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kFailed);
  EXPECT_EQ(world.CountEvents(run, v1::Event::kStageOutput), 1);
  ExpectNothingHeld();
}

// Each command finds the run parked or just leaving memory; none may be lost, and each is answered.
TEST_F(SupervisorTest, CommandsRaceWithRetirement) {
  RunWorld& world = Begin();
  const RunId run = world.Create(kGate);
  world.AwaitQuestion(run);
  constexpr int kThreads = 6;
  constexpr int kRounds = 40;
  std::atomic<int> done = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const bool pauses = (t + i) % 2 == 0;
        const auto told = pauses ? world.Tell(run, engine::Pause{}) : world.Tell(run, engine::Unpause{});
        const Reason reason = ReasonOf(told.status());
        EXPECT_TRUE(told.ok() || reason == Reason::kRunNotPausable || reason == Reason::kRunNotPaused)
            << told.status();
        ++(told.ok() ? done : refused);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done + refused, kThreads * kRounds);
  const int changes = world.CountEvents(run, v1::Event::kWorkflowRunPaused) +
                      world.CountEvents(run, v1::Event::kWorkflowRunUnpaused);
  EXPECT_EQ(changes, done.load());
  if (world.Row(run).status == RunStatus::kPaused) {
    ASSERT_TRUE(world.Tell(run, engine::Unpause{}).ok());
  }
  ASSERT_TRUE(world.AnswerWith(run, "q-1", "a").ok());
  EXPECT_EQ(world.AwaitEnd(run).status, RunStatus::kCompleted);
  ExpectNothingHeld();
}

TEST_F(SupervisorTest, DeletesOnlyWhatHasEnded) {
  RunWorld& world = Begin();
  const RunId run = world.Create(kGate);
  world.AwaitQuestion(run);
  EXPECT_EQ(ReasonOf(world.Await(world.supervisor.Delete(run))), Reason::kRunActive);
  ASSERT_TRUE(world.Tell(run, engine::Cancel{}).ok());
  EXPECT_TRUE(world.Await(world.supervisor.Delete(run)).ok());
  EXPECT_EQ(ReasonOf(world.Await(world.supervisor.Delete(run))), Reason::kRunNotFound);
  EXPECT_EQ(ReasonOf(world.Tell(run, engine::Cancel{}).status()), Reason::kRunNotFound);
}

}  // namespace
}  // namespace fabro::runtime
