// Who holds a slot and who waits for one, after any mix of deeds, beside a model that is small enough to be
// seen to be right.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "core/base/strings.h"
#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro::runtime {
namespace {

using storage::QueueState;
using testing::RunWorld;
using testing::SeededRandom;
using testing::TempDirectory;
using testing::WorldOptions;

// A command, a gate, a command: each run has nodes of its own names, so that each stage can be ended by
// itself.
std::string Source(int number) {
  return ReplaceAll(
      R"(digraph run# { start [shape=Mdiamond] exit [shape=Msquare] gate# [shape=hexagon, label="Go on?"]
    node [shape=parallelogram, script=x]
    start -> first# -> gate#  gate# -> second# [label="[Y] Yes"]  gate# -> exit [label="[N] No"]
    second# -> exit })",
      "#", std::to_string(number));
}

// Where a run stands: new ones and those that come back wait for a slot, and work takes one.
enum class Place : std::uint8_t { kNew, kComesBack, kWorks, kAsks, kHeld, kEnded };

struct Run {
  RunId id;
  int number = 0;
  Place place = Place::kNew;
  int stage = 1;  // the command it works at, or will after its slot: 1, 2; 3: the end; 0: its gate
  bool paused = false;
  std::int64_t since = 0;  // in the queue

  std::string node() const { return StrCat(stage == 1 ? "first" : "second", number); }
};

struct Model {
  std::size_t slots = 1;
  std::vector<Run> runs;

  std::size_t Count(Place place) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(runs, [place](const Run& run) { return run.place == place; }));
  }
  Run* Next() {  // those that come back go first; then first come, first served
    Run* next = nullptr;
    for (Run& run : runs) {
      if (run.place != Place::kNew && run.place != Place::kComesBack) continue;
      const auto key = [](const Run& r) { return std::pair(r.place == Place::kNew, r.since); };
      if (next == nullptr || key(run) < key(*next)) next = &run;
    }
    return next;
  }
  void Grant() {
    while (Count(Place::kWorks) < slots) {
      Run* const run = Next();
      if (run == nullptr) return;
      run->place = Place::kWorks;
      if (run->stage == 0) run->place = Place::kAsks;
      if (run->stage == 3) run->place = Place::kEnded;
    }
  }
};

QueueState StateOf(Place place) {
  switch (place) {
    case Place::kNew:
      return QueueState::kQueued;
    case Place::kComesBack:
      return QueueState::kResumable;
    case Place::kWorks:
      return QueueState::kActive;
    default:
      return QueueState::kNone;
  }
}

class Play {
 public:
  explicit Play(std::uint64_t seed) : random_(seed), world_(OptionsFor(seed)) {
    model_.slots = kSlots;
    world_.Start();
  }

  void Deed() {
    world_.time.Advance(std::chrono::milliseconds(1));  // no two wait since the same moment
    switch (random_.Below(12)) {
      case 0:
      case 1:
      case 2:
        return Create();
      case 3:
      case 4:
      case 5:
      case 6:
        return Finish();
      case 7:
        return Cancel();
      case 8:
        return Pause();
      case 9:
        return Unpause();
      case 10:
        return Answer();
      default:
        model_.slots = 1 + random_.Below(4);
        world_.admission.SetSlots(model_.slots);
    }
  }

  // The world comes to where the model is.
  void Compare() {
    model_.Grant();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    std::string difference = Difference();
    while (!difference.empty() && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
      difference = Difference();
    }
    ASSERT_EQ(difference, "");
  }

  void End() {
    model_.slots = 0;  // nothing goes on meanwhile
    world_.admission.SetSlots(0);
    for (Run& run : model_.runs) {
      if (run.place == Place::kEnded) continue;
      ASSERT_TRUE(world_.Tell(run.id, engine::Cancel{"model"}).ok());
      run.place = Place::kEnded;
    }
    Compare();
    world_.AwaitNoActors();
    EXPECT_EQ(world_.admission.counts().held, 0U);
  }

 private:
  static constexpr std::size_t kSlots = 3;

  WorldOptions OptionsFor(std::uint64_t seed) {
    WorldOptions options;
    options.folder = folder_.path();
    options.slots = kSlots;
    options.seed = seed;
    return options;
  }

  template <typename Wanted>
  Run* Any(Wanted wanted) {
    std::vector<Run*> found;
    for (Run& run : model_.runs) {
      if (wanted(run)) found.push_back(&run);
    }
    return found.empty() ? nullptr : found[random_.Below(found.size())];
  }
  std::int64_t Now() const { return world_.time.Now().unix_ms; }

  void Create() {
    Run run;
    run.number = static_cast<int>(model_.runs.size());
    run.since = Now();
    for (const char* name : {"first", "second"}) world_.stages.Hold(StrCat(name, run.number));
    run.id = world_.Create(Source(run.number));
    model_.runs.push_back(run);
  }
  void Finish() {
    Run* const run = Any([](const Run& r) { return r.place == Place::kWorks; });
    if (run == nullptr) return;
    engine::Outcome outcome;
    if (!run->paused && random_.Below(5) == 0) outcome.status = engine::OutcomeStatus::kFail;
    world_.stages.Finish(run->node(), outcome);
    const bool asks = run->stage == 1 && outcome.status != engine::OutcomeStatus::kFail;
    if (run->paused) {  // whatever comes next waits for its unpause
      run->place = Place::kHeld;
      run->stage = asks ? 0 : 3;
    } else if (run->stage == 1) {
      run->place = Place::kAsks;  // also after a failure: the way to the gate has no condition
      run->stage = 0;
    } else {
      run->place = Place::kEnded;
    }
  }
  void Cancel() {
    Run* const run = Any([](const Run& r) { return r.place != Place::kEnded; });
    if (run == nullptr) return;
    ASSERT_TRUE(world_.Tell(run->id, engine::Cancel{"model"}).ok());
    run->place = Place::kEnded;
  }
  void Pause() {
    Run* const run =
        Any([](const Run& r) { return !r.paused && (r.place == Place::kWorks || r.place == Place::kAsks); });
    if (run == nullptr) return;
    const auto told = world_.Tell(run->id, engine::Pause{"model"});
    ASSERT_TRUE(told.ok()) << told.status();
    run->paused = true;
  }
  void Unpause() {
    Run* const run = Any([](const Run& r) { return r.paused && r.place != Place::kEnded; });
    if (run == nullptr) return;
    const auto told = world_.Tell(run->id, engine::Unpause{"model"});
    ASSERT_TRUE(told.ok()) << told.status();
    run->paused = false;
    if (run->place == Place::kHeld) Return(*run, run->stage);
  }
  void Answer() {
    Run* const run = Any([](const Run& r) { return r.place == Place::kAsks && !r.paused; });
    if (run == nullptr) return;
    const bool goes_on = random_.Below(3) != 0;
    const auto told = world_.AnswerWith(run->id, "q-1", goes_on ? "Y" : "N");
    ASSERT_TRUE(told.ok()) << told.status();
    Return(*run, goes_on ? 2 : 3);
  }
  void Return(Run& run, int stage) {
    run.place = Place::kComesBack;
    run.stage = stage;
    run.since = Now();
  }

  std::string Difference() {
    const auto counts = world_.admission.counts();
    std::string text;
    if (counts.held != model_.Count(Place::kWorks))
      text += StrCat("held: ", counts.held, ", not ", model_.Count(Place::kWorks), "\n");
    if (counts.waiting_new != model_.Count(Place::kNew))
      text += StrCat("waiting new: ", counts.waiting_new, ", not ", model_.Count(Place::kNew), "\n");
    if (counts.waiting_resumable != model_.Count(Place::kComesBack))
      text +=
          StrCat("coming back: ", counts.waiting_resumable, ", not ", model_.Count(Place::kComesBack), "\n");
    for (const Run& run : model_.runs) {
      const storage::RunRow row = world_.Row(run.id);
      const bool fits = row.queue_state == StateOf(run.place) &&
                        IsTerminal(row.status) == (run.place == Place::kEnded) &&
                        (row.status == RunStatus::kPaused) == (run.paused && run.place != Place::kEnded) &&
                        (row.open_questions > 0) == (run.place == Place::kAsks);
      // A paused stage has no further say in the queue, but its slot.
      if (fits || (run.paused && run.place == Place::kWorks && row.status == RunStatus::kPaused)) continue;
      text +=
          StrCat("run ", run.number, ": ", ToString(row.status), " at ", row.current_node, " in queue state ",
                 static_cast<int>(row.queue_state), ", not ", static_cast<int>(StateOf(run.place)), " for ",
                 run.node(), run.paused ? " paused" : "", "\n");
    }
    return text;
  }

  TempDirectory folder_;
  SeededRandom random_;
  Model model_;
  RunWorld world_;
};

TEST(Runtime, SlotsGoWhereASmallModelSaysTheyGo) {
  const std::uint64_t seeds = std::getenv("FABRO_SOAK") != nullptr ? 200 : 6;
  for (std::uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Play play(seed);
    for (int deed = 0; deed < 60 && !HasFailure(); ++deed) {
      SCOPED_TRACE(StrCat("deed ", deed));
      play.Deed();
      play.Compare();
    }
    if (!HasFailure()) play.End();
  }
}

}  // namespace
}  // namespace fabro::runtime
