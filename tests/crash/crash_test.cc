// Runs are stopped at their commits, as kill -9 or a power cut would; a new server on what is left must keep
// every promise that was made before, and bring each run, with the runs that it began, to the same end.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/strings.h"
#include "tests/crash/crash_image.h"
#include "tests/crash/hand.h"
#include "tests/crash/promises.h"
#include "tests/crash/story.h"
#include "tests/support/run_world.h"
#include "tests/support/temp_directory.h"

namespace fabro::crash {
namespace {

namespace fs = std::filesystem;
using testing::ObservedConnection;
using testing::RunWorld;
using testing::SeededRandom;
using testing::TempDirectory;
using testing::WorldOptions;

struct Image {
  fs::path folder;
  Timestamp taken_at;
  Told::Heads told;
};

class Crashes {
 public:
  // Images are taken at one of so many commits.
  Crashes(Story story, std::uint64_t seed, std::size_t one_of)
      : story_(std::move(story)), random_(seed), one_of_(one_of) {}

  void Run() {
    const Family uncut = RunUncut();
    if (::testing::Test::HasFailure()) return;
    for (const Image& image : images_) {
      SCOPED_TRACE(StrCat("image ", &image - images_.data(), " of ", images_.size()));
      CheckImage(image, uncut, 2);
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

  void UseScript(RunWorld& world) {
    world.stages.SetScript([&world, this](stages::StageRequest request, stages::StageOutputSink* sink) {
      return Tell(world.store.get(), &world.hub, &story_, std::move(request), sink);
    });
    for (const std::string& node : story_.held) world.stages.Hold(node);
  }

  // An image after each commit, some before one, and some in the middle of its writing.
  Family RunUncut() {
    const fs::path home = NextFolder();
    RunWorld* watched = nullptr;
    Told told;
    Told::Heads told_before;
    bool is_wanted = false;
    std::uintmax_t log_before = 0;
    WorldOptions options = OptionsFor(home, Timestamp{1'767'225'600'000});
    const auto observe = [&](ObservedConnection::Moment moment) {
      if (watched == nullptr) return;  // the store is being opened
      const bool before = moment == ObservedConnection::Moment::kBeforeCommit;
      if (before) is_wanted = one_of_ == 1 || random_.Below(one_of_) == 0;
      if (!is_wanted) return;
      const Image image{NextFolder(), watched->time.Now(), told.heads()};
      std::error_code none;
      const std::uintmax_t log_size = fs::file_size(home / "fabro.db-wal", none);
      if (before) {
        log_before = none ? 0 : log_size;
        told_before = image.told;
        if (random_.Below(4) != 0) return;
      }
      testing::TakeImage(home, image.folder);
      images_.push_back(image);
      const bool grew = !none && log_size > log_before;
      if (before || !grew || random_.Below(2) == 0) return;
      // The power went while the log was being written, and nobody had seen what was in it.
      const Image torn{NextFolder(), image.taken_at, told_before};
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
    root_ = world.Create(story_.source);
    Hand(world, root_, random_.Next(), told).Drive();
    world.AwaitNoActors();
    watched = nullptr;
    Family family = Read(world, root_);
    EXPECT_EQ(world.Row(root_).status, RunStatus::kCompleted) << world.Row(root_).error.value_or("");
    for (const auto& [name, run] : family) CheckSound(story_, run);
    fs::remove_all(home);
    return family;
  }

  // A new server on the image; `more_cuts` times it is cut again, anywhere.
  void CheckImage(const Image& image, const Family& uncut, int more_cuts) {
    Family before;
    Family end;
    std::optional<Image> again;
    {
      Told told(image.told);
      auto commits_left = more_cuts > 0 ? static_cast<int>(random_.Below(2 * story_.stages)) : -1;
      RunWorld* watched = nullptr;
      WorldOptions options = OptionsFor(image.folder, image.taken_at);
      const auto observe = [&](ObservedConnection::Moment moment) {
        if (watched == nullptr || moment != ObservedConnection::Moment::kAfterCommit || commits_left-- != 0)
          return;
        again = Image{NextFolder(), watched->time.Now(), told.heads()};
        testing::TakeImage(image.folder, again->folder);
      };
      options.wrap = [&observe](std::unique_ptr<storage::SqlConnection> connection) {
        return std::make_unique<ObservedConnection>(std::move(connection), observe);
      };
      RunWorld world(options);
      UseScript(world);
      const auto stored = world.Await(world.store->GetRun(root_));
      if (absl::IsNotFound(stored.status())) {
        EXPECT_TRUE(image.told.empty()) << "a run that was made is gone";
        return;
      }
      before = Read(world, root_);
      CheckTold(before, image.told);
      for (const auto& [name, run] : before) CheckStored(world, run);
      if (::testing::Test::HasFailure()) return;
      watched = &world;
      world.Start();
      CheckWhatWaits(world, before);
      Hand(world, root_, random_.Next(), told).Drive();
      world.AwaitNoActors();
      watched = nullptr;
      EXPECT_EQ(world.admission.counts().held, 0U);
      EXPECT_EQ(world.stages.active(), 0);
      end = Read(world, root_);
    }
    CheckEnd(before, end, uncut);
    if (again && !::testing::Test::HasFailure()) CheckImage(*again, uncut, more_cuts - 1);
    fs::remove_all(image.folder);
  }

  static void CheckTold(const Family& before, const Told::Heads& told) {
    std::map<RunId, std::uint64_t> heads;
    for (const auto& [name, run] : before) heads[run.row.id] = run.log.size();
    for (const auto& [run, head] : told) {
      ASSERT_TRUE(heads.contains(run)) << "a run that was shown is gone";
      EXPECT_GE(heads[run], head) << "an event that was shown is gone";
    }
  }

  // A question, a time and a pause wait on as they did.
  void CheckWhatWaits(RunWorld& world, const Family& before) {
    for (const auto& [name, run] : before) {
      const bool is_due = run.row.wake_at && *run.row.wake_at <= world.time.Now();
      if (run.row.queue_state != storage::QueueState::kNone || is_due) return;
    }
    world.AwaitNoActors();
    for (const auto& [name, run] : before) {
      const storage::RunRow after = world.Row(run.row.id);
      EXPECT_EQ(after.status, run.row.status);
      EXPECT_EQ(after.wake_at, run.row.wake_at);
      EXPECT_EQ(after.open_questions, run.row.open_questions);
      EXPECT_EQ(after.question_text, run.row.question_text);
      EXPECT_EQ(after.head, run.row.head);
    }
  }

  void CheckEnd(const Family& before, const Family& end, const Family& uncut) {
    ASSERT_EQ(end.size(), uncut.size());
    for (const auto& [name, run] : uncut) {
      SCOPED_TRACE(name);
      ASSERT_TRUE(end.contains(name)) << "a child is missing";
      CheckSound(story_, end.at(name));
      CheckSameEnd(end.at(name), run);
      const auto known = before.find(name);
      if (known == before.end()) continue;
      CheckKept(known->second, end.at(name));
      CheckResumption(known->second, end.at(name));
    }
  }

  const Story story_;
  TempDirectory folder_{testing::ParentOfImages()};
  SeededRandom random_;
  const std::size_t one_of_;
  std::atomic<int> folders_ = 0;
  std::vector<Image> images_;  // written by the store's writer while the uncut run goes on
  RunId root_;
};

bool IsSoak() { return std::getenv("FABRO_SOAK") != nullptr; }

TEST(Crash, EveryCommitOfALongRunKeepsItsPromises) {
  const std::uint64_t seeds = IsSoak() ? 100 : 1;
  for (std::uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Crashes crashes(Twenty(), seed, 1);
    crashes.Run();
    EXPECT_GT(crashes.images(), 60U);
  }
}

class EachPiece : public ::testing::TestWithParam<std::string_view> {};

TEST_P(EachPiece, KeepsItsPromisesAtEveryCommit) {
  const std::uint64_t seeds = IsSoak() ? 20 : 1;
  for (std::uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Crashes(OnePiece(GetParam()), seed, 1).Run();
  }
}

INSTANTIATE_TEST_SUITE_P(Crash, EachPiece, ::testing::ValuesIn(PieceNames()),
                         [](const auto& info) { return std::string(info.param); });

TEST(Crash, AnyMixIsCutAnywhere) {
  const std::uint64_t seeds = IsSoak() ? 1000 : 50;
  for (std::uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    SeededRandom random(seed);
    Story story = SomePieces(random);
    SCOPED_TRACE(story.source);
    const std::size_t one_of = std::max<std::size_t>(story.stages / 2, 1);
    Crashes(std::move(story), random.Next(), one_of).Run();
  }
}

}  // namespace
}  // namespace fabro::crash
