// A run of more than twenty stages, two of them side by side, is stopped at every one of its commits, as kill
// -9 or a power cut would; a new server on what is left must keep every promise that was made before, and
// bring the run to the same end.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <set>

#include "tests/crash/crash_image.h"
#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro {
namespace {

namespace fs = std::filesystem;
using testing::ObservedConnection;
using testing::RunWorld;
using testing::SeededRandom;
using testing::TempDirectory;
using testing::WorldOptions;
using Events = std::vector<v1::Event>;

constexpr const char* kWorkflow = R"(digraph twenty {
  goal="cross the river"
  node [shape=parallelogram, script="true"]
  start [shape=Mdiamond]
  exit [shape=Msquare]
  start -> plan -> fetch -> build -> test -> verdict
  fetch [retry_policy=aggressive]
  verdict [shape=diamond]
  verdict -> fix [condition="outcome=fail"]
  fix -> test
  verdict -> review [condition="outcome=success"]
  review [shape=hexagon, label="Ship it?"]
  review -> pack [label="[A] Approve"]
  review -> fix [label="[R] Revise"]
  pack -> cool -> upload -> check -> tell
  cool [type="wait", duration="90s"]
  upload [retry_policy=patient]
  tell [shape=box, prompt="Say so."]
  tell -> tidy -> fan
  fan [shape=component]
  join [shape=tripleoctagon]
  fan -> left -> join
  fan -> right -> join
  join -> nap -> log -> confirm
  nap [type="wait", duration="10s"]
  confirm [shape=hexagon, label="Close?"]
  confirm -> close [label="[Y] Yes"]
  close -> exit
})";

engine::Outcome Ends(engine::OutcomeStatus status) {
  engine::Outcome outcome;
  outcome.status = status;
  return outcome;
}

// How a stage's attempt ends depends on nothing but what is durable: how many of its attempts have ended. So
// the run comes to the same end however often it is cut.
Task<engine::Outcome> RunScripted(storage::Store* store, stages::StageRequest request,
                                  stages::StageOutputSink* sink) {
  int ended = 0;
  EventSeq after{0};
  while (true) {
    const auto page = co_await store->ReadEvents(request.run, after, storage::ReadLimits());
    if (!page.ok() || page->empty()) break;
    for (const auto& bytes : *page) {
      v1::Event event;
      event.ParseFromString(bytes.event);
      const bool ends = event.stage_failed().node_id() == request.node->id ||
                        event.stage_completed().node_id() == request.node->id;
      ended += ends ? 1 : 0;
    }
    after = page->back().seq;
  }
  co_await sink->Write(false, request.node->id + " speaks\n");
  const std::string& node = request.node->id;
  if (node == "test" && ended < 2) co_return Ends(engine::OutcomeStatus::kFail);
  if (node == "fetch" && ended < 2) co_return Ends(engine::OutcomeStatus::kRetry);
  if (node == "upload" && ended < 2) co_return Ends(engine::OutcomeStatus::kRetry);
  engine::Outcome outcome;
  outcome.context_updates["seen." + node] = std::to_string(ended);
  co_return outcome;
}

// What a person and the clock do: they answer, unpause, and time passes. Sometimes somebody pauses the run.
class Hand {
 public:
  Hand(RunWorld& world, RunId run, std::uint64_t seed) : world_(world), run_(run), random_(seed) {}

  // Until the run has ended. `told` is the last event that a client has seen.
  void Drive(std::atomic<std::uint64_t>& told) {
    while (!::testing::Test::HasFailure()) {
      const auto row = world_.AwaitRow(run_, [](const storage::RunRow& r) {
        return IsTerminal(r.status) || r.status == RunStatus::kPaused || r.wake_at || r.open_questions > 0;
      });
      told = std::max<std::uint64_t>(told, ToUint(row.head));
      if (IsTerminal(row.status)) return;
      if (row.status == RunStatus::kPaused) {
        (void)world_.Tell(run_, engine::Unpause{"hand"});
      } else if (random_.Below(6) == 0) {
        (void)world_.Tell(run_, engine::Pause{"hand"});
      } else if (row.open_questions > 0) {
        Answer();
      } else {
        world_.time.AdvanceToSleeper(*row.wake_at);
        // The timer's commit is what the next look must see.
        const EventSeq head = row.head;
        world_.AwaitRow(run_, [head](const storage::RunRow& r) { return r.head > head; });
      }
    }
  }

 private:
  void Answer() {
    const auto loaded = world_.Await(world_.supervisor.Read(run_));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    for (const engine::QuestionView& question : loaded->machine.OpenQuestions()) {
      (void)world_.AnswerWith(run_, question.id, question.options.front().key);
    }
  }

  RunWorld& world_;
  const RunId run_;
  SeededRandom random_;
};

// Sorted: which of two branches is ahead is chance.
std::vector<std::string> PathOf(const Events& events) {
  std::vector<std::string> path;
  for (const v1::Event& event : events) {
    if (event.has_edge_selected()) path.push_back(event.edge_selected().to_node());
  }
  std::sort(path.begin(), path.end());
  return path;
}

std::map<std::string, int> QuestionsOf(const Events& events) {
  std::map<std::string, int> asked;
  for (const v1::Event& event : events) {
    if (event.has_interview_started()) ++asked[event.interview_started().question_id()];
  }
  return asked;
}

Events Parse(const std::vector<storage::EventBytes>& log) {
  Events events;
  for (const auto& bytes : log) EXPECT_TRUE(events.emplace_back().ParseFromString(bytes.event));
  return events;
}

// A server's end: the log and what the run came to.
struct End {
  std::vector<storage::EventBytes> log;
  storage::RunRow row;
  std::string context;
};

End EndOf(RunWorld& world, RunId run) {
  End end{world.Log(run), world.Row(run), ""};
  const auto loaded = world.Await(world.supervisor.Read(run));
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  if (loaded.ok()) end.context = loaded->machine.ContextJson();
  return end;
}

struct Image {
  fs::path folder;
  Timestamp taken_at;
  std::uint64_t told = 0;  // clients had seen the events up to this one
};

class Crashes {
 public:
  explicit Crashes(std::uint64_t seed) : seed_(seed), random_(seed) {}

  void Run() {
    const End whole = RunUncut();
    if (::testing::Test::HasFailure()) return;
    for (const Image& image : images_) {
      const int commit = static_cast<int>(&image - images_.data());
      SCOPED_TRACE(::testing::Message()
                   << "seed " << seed_ << ", image " << commit << " of " << images_.size());
      CheckImage(image, whole, 2);
      if (::testing::Test::HasFailure()) return;
    }
  }
  std::size_t images() const { return images_.size(); }

 private:
  WorldOptions OptionsFor(const fs::path& folder, Timestamp now) {
    WorldOptions options;
    options.folder = folder;
    options.seed = random_.Next();
    options.now = now;
    return options;
  }
  fs::path NextFolder() { return folder_.path() / std::to_string(++folders_); }

  static void UseScript(RunWorld& world) {
    storage::Store* store = world.store.get();
    world.stages.SetScript([store](stages::StageRequest request, stages::StageOutputSink* sink) {
      return RunScripted(store, std::move(request), sink);
    });
  }

  // An image after each commit, some before one, and some in the middle of its writing.
  End RunUncut() {
    const fs::path home = NextFolder();
    RunWorld* watched = nullptr;
    std::uintmax_t log_before = 0;
    WorldOptions options = OptionsFor(home, Timestamp{1'767'225'600'000});
    const auto observe = [&](ObservedConnection::Moment moment) {
      if (watched == nullptr) return;  // the store is being opened
      const Image image{NextFolder(), watched->time.Now(), told_};
      std::error_code none;
      const std::uintmax_t log_size = fs::file_size(home / "fabro.db-wal", none);
      if (moment == ObservedConnection::Moment::kBeforeCommit) {
        log_before = none ? 0 : log_size;
        if (random_.Below(4) != 0) return;
      }
      testing::TakeImage(home, image.folder);
      images_.push_back(image);
      const bool grew = !none && log_size > log_before;
      if (moment != ObservedConnection::Moment::kAfterCommit || !grew || random_.Below(2) == 0) return;
      // The power went while the log was being written.
      const Image torn{NextFolder(), image.taken_at, image.told};
      testing::TakeImage(home, torn.folder);
      fs::resize_file(torn.folder / "fabro.db-wal", log_before + random_.Below(log_size - log_before));
      images_.push_back(torn);
    };
    options.wrap = [&observe](std::unique_ptr<storage::SqlConnection> connection) {
      return std::make_unique<ObservedConnection>(std::move(connection), observe);
    };
    RunWorld world(options);
    UseScript(world);
    world.Start();
    watched = &world;
    run_ = world.Create(kWorkflow);
    Hand(world, run_, random_.Next()).Drive(told_);
    world.AwaitNoActors();
    watched = nullptr;
    End end = EndOf(world, run_);
    EXPECT_EQ(end.row.status, RunStatus::kCompleted);
    EXPECT_EQ(PathOf(Parse(end.log)).size(), kSteps);
    return end;
  }

  // A new server on the image; `more_cuts` times it is cut again, anywhere.
  void CheckImage(const Image& image, const End& whole, int more_cuts) {
    End end;
    std::optional<Image> again;
    std::vector<storage::EventBytes> before;
    {
      std::atomic<std::uint64_t> told = image.told;
      int commits_left = more_cuts > 0 ? static_cast<int>(random_.Below(60)) : -1;
      RunWorld* watched = nullptr;
      WorldOptions options = OptionsFor(image.folder, image.taken_at);
      const auto observe = [&](ObservedConnection::Moment moment) {
        if (watched == nullptr || moment != ObservedConnection::Moment::kAfterCommit || commits_left-- != 0)
          return;
        again = Image{NextFolder(), watched->time.Now(), told};
        testing::TakeImage(image.folder, again->folder);
      };
      options.wrap = [&observe](std::unique_ptr<storage::SqlConnection> connection) {
        return std::make_unique<ObservedConnection>(std::move(connection), observe);
      };
      RunWorld world(options);
      UseScript(world);
      before = world.Log(run_);
      ASSERT_GE(before.size(), image.told) << "an event that was shown is gone";
      const auto stored = world.Await(world.store->GetRun(run_));
      if (absl::IsNotFound(stored.status())) {
        // Cut before it was made: nobody was told of it.
        EXPECT_EQ(image.told, 0U);
        EXPECT_TRUE(before.empty());
        return;
      }
      CheckBeforeStart(world, *stored, before);
      watched = &world;
      world.Start();
      CheckWhatWaits(world, *stored);
      Hand(world, run_, random_.Next()).Drive(told);
      world.AwaitNoActors();
      watched = nullptr;
      EXPECT_EQ(world.admission.counts().held, 0U);
      end = EndOf(world, run_);
    }
    CheckEnd(before, end, whole);
    if (again && !::testing::Test::HasFailure()) CheckImage(*again, whole, more_cuts - 1);
    fs::remove_all(image.folder);
  }

  // What is stored fits together.
  void CheckBeforeStart(RunWorld& world, const storage::RunRow& row,
                        const std::vector<storage::EventBytes>& before) {
    ASSERT_EQ(ToUint(row.head), before.size());
    const auto loaded = world.Await(world.supervisor.Read(run_));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->machine.status(), row.status);
    std::string marked;
    std::uint64_t marks = 0;
    for (const v1::Event& event : Parse(before)) {
      EXPECT_EQ(event.run_id(), run_.ToString());
      if (!event.has_checkpoint_completed()) continue;
      ++marks;
      marked = event.checkpoint_completed().node_id();
    }
    const auto checkpoint = loaded->machine.Checkpoint();
    EXPECT_EQ(checkpoint.has_value(), marks > 0);
    if (checkpoint) {
      EXPECT_EQ(checkpoint->current_node, marked);
    }
  }

  // A question, a time and a pause wait on as they did.
  void CheckWhatWaits(RunWorld& world, const storage::RunRow& before) {
    const bool is_due = before.wake_at && *before.wake_at <= world.time.Now();
    if (before.queue_state != storage::QueueState::kNone || is_due) return;
    world.AwaitNoActors();
    const storage::RunRow after = world.Row(run_);
    EXPECT_EQ(after.status, before.status);
    EXPECT_EQ(after.wake_at, before.wake_at);
    EXPECT_EQ(after.open_questions, before.open_questions);
    EXPECT_EQ(after.question_text, before.question_text);
    EXPECT_EQ(after.head, before.head);
  }

  void CheckEnd(const std::vector<storage::EventBytes>& before, const End& end, const End& whole) {
    ASSERT_GE(end.log.size(), before.size());
    for (std::size_t i = 0; i < end.log.size(); ++i) {
      ASSERT_EQ(ToUint(end.log[i].seq), i + 1);
      if (i < before.size()) {
        ASSERT_EQ(end.log[i].event, before[i].event) << "event " << i + 1 << " was rewritten";
      }
    }
    const Events events = Parse(end.log);
    for (std::size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].id(), i + 1);
    EXPECT_EQ(end.row.status, whole.row.status);
    EXPECT_EQ(end.row.outcome, whole.row.outcome);
    EXPECT_EQ(end.row.stage_count, whole.row.stage_count);
    EXPECT_EQ(end.context, whole.context);
    const Events uncut = Parse(whole.log);
    EXPECT_EQ(PathOf(events), PathOf(uncut));
    EXPECT_EQ(QuestionsOf(events), QuestionsOf(uncut));
    EXPECT_EQ(Count(events, v1::Event::kStageRetrying), Count(uncut, v1::Event::kStageRetrying));
    EXPECT_EQ(Count(events, v1::Event::kWorkflowRunCompleted), 1);
    CheckResumption(Parse(before), events);
    CheckWaits(events);
  }

  // No wait was cut short, nor begun anew.
  static void CheckWaits(const Events& events) {
    std::map<std::string, std::int64_t> due;
    for (const v1::Event& event : events) {
      const std::int64_t at = event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000;
      const std::string& node = event.stage_started().node_id();
      if (node == "cool") due[node] = at + 90'000;
      if (node == "nap") due[node] = at + 10'000;
      const auto waited = due.find(event.stage_completed().node_id());
      if (waited != due.end()) {
        EXPECT_EQ(at, waited->second) << waited->first;
      }
    }
  }

  static int Count(const Events& events, v1::Event::PayloadCase what) {
    int count = 0;
    for (const v1::Event& event : events) count += event.payload_case() == what ? 1 : 0;
    return count;
  }

  // What had ended in a branch does not run again.
  static void CheckBranches(const Events& before, const Events& events) {
    std::set<std::string> ended;
    for (const v1::Event& event : before) {
      if (event.has_stage_completed()) ended.insert(event.stage_completed().node_id());
    }
    for (std::size_t i = before.size(); i < events.size(); ++i) {
      const std::string& node = events[i].stage_started().node_id();
      EXPECT_TRUE((node != "left" && node != "right") || !ended.contains(node)) << node << " ran again";
    }
  }

  // The command in hand at the crash runs again as a new attempt, and that is not a retry.
  static void CheckResumption(const Events& before, const Events& events) {
    if (Count(before, v1::Event::kParallelStarted) > Count(before, v1::Event::kParallelCompleted)) {
      CheckBranches(before, events);
      return;
    }
    const v1::StageStarted* in_hand = nullptr;
    bool paused = false;
    for (const v1::Event& event : before) {
      if (event.has_stage_started()) in_hand = &event.stage_started();
      if (event.has_stage_completed() || event.has_stage_failed()) in_hand = nullptr;
      if (event.has_workflow_run_paused()) paused = true;
      if (event.has_workflow_run_unpaused()) paused = false;
    }
    if (in_hand == nullptr || paused || in_hand->handler_type() != "command") return;
    ASSERT_GT(events.size(), before.size() + 1);
    const v1::Event& resumed = events[before.size()];
    ASSERT_TRUE(resumed.has_workflow_run_resumed()) << resumed.ShortDebugString();
    EXPECT_EQ(resumed.workflow_run_resumed().after(), before.size());
    const v1::Event& started = events[before.size() + 1];
    ASSERT_TRUE(started.has_stage_started()) << started.ShortDebugString();
    EXPECT_EQ(started.stage_started().node_id(), in_hand->node_id());
    EXPECT_EQ(started.stage_started().attempt(), in_hand->attempt() + 1);
    EXPECT_EQ(started.stage_started().max_attempts(), in_hand->max_attempts() + 1);
  }

  static constexpr std::size_t kSteps = 27;

  const std::uint64_t seed_;
  TempDirectory folder_;
  SeededRandom random_;
  std::atomic<int> folders_ = 0;
  std::atomic<std::uint64_t> told_ = 0;
  std::vector<Image> images_;  // written by the store's writer while the uncut run goes on
  RunId run_;
};

TEST(Crash, EveryCommitLeavesARunThatKeepsItsPromises) {
  const int seeds = std::getenv("FABRO_SOAK") != nullptr ? 100 : 1;
  for (int seed = 1; seed <= seeds && !::testing::Test::HasFailure(); ++seed) {
    Crashes crashes(static_cast<std::uint64_t>(seed));
    crashes.Run();
    EXPECT_GT(crashes.images(), 60U);
  }
}

}  // namespace
}  // namespace fabro
