#include "gateway/transcode/feed.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/base/strings.h"
#include "gateway/route/route_table.h"
#include "proto/api.h"
#include "tests/gateway/transcode/scripted_log.h"
#include "tests/support/run_task.h"

namespace fabro::transcode {
namespace {

using namespace std::chrono_literals;
using fabro::testing::KeepResult;
using fabro::testing::RunTask;
using fabro::testing::ScriptedLog;

const route::Route& StreamRoute() {
  static const auto table =
      route::RouteTable::Build(api::Services(), google::protobuf::MessageFactory::generated_factory());
  FABRO_CHECK(table.ok());
  static const route::Route* const found = [] {
    for (const route::Route* route : (*table)->routes()) {
      if (route->grpc_path == "/fabro.v1.RunService/StreamRunEvents") return route;
    }
    return static_cast<const route::Route*>(nullptr);
  }();
  return *found;
}

upstream::CallOptions By(std::string principal) {
  upstream::CallOptions options;
  options.principal = std::move(principal);
  return options;
}

v1::StreamRunEventsRequest Request(std::optional<std::uint64_t> after) {
  v1::StreamRunEventsRequest request;
  request.set_id("r");
  if (after) request.set_after(*after);
  return request;
}

std::uint64_t IdOf(const std::string& frame) {
  FABRO_CHECK(frame.starts_with("id: "));
  return static_cast<std::uint64_t>(ParseInt(frame.substr(4, frame.find('\n') - 4)).value_or(0));
}

// What a reader saw and how it ended.
struct Seen {
  std::vector<std::uint64_t> ids;
  int pings = 0;
  absl::Status status;
  bool ended = false;
};

// Reads to the end or until `at_most` frames, yielding `pause` times after every batch.
Task<Seen> Read(FeedHub& hub, std::optional<std::uint64_t> after, std::size_t at_most, int pause,
                std::string principal = "p") {
  Seen seen;
  const v1::StreamRunEventsRequest request = Request(after);
  auto reader = co_await hub.Open(StreamRoute(), request, By(std::move(principal)));
  seen.status = reader.status();
  while (seen.status.ok() && seen.ids.size() < at_most) {
    std::vector<http::Piece> frames;
    const auto state = (*reader)->Poll(frames);
    seen.status = state.status();
    if (!state.ok()) break;
    if (*state == FeedReader::State::kEnd) {
      seen.ended = true;
      break;
    }
    if (*state == FeedReader::State::kWait) {
      seen.status = co_await (*reader)->Wait();
      continue;
    }
    for (const http::Piece& frame : frames) {
      if (*frame == ": ping\n\n") {
        ++seen.pings;
      } else {
        seen.ids.push_back(IdOf(*frame));
      }
    }
    for (int i = 0; i < pause; ++i) co_await Yield();
  }
  co_return seen;
}

// Reads all, leaving and coming back with the last id after every few frames.
Task<Seen> ReadInPieces(FeedHub& hub, unsigned seed) {
  std::mt19937 random(seed);
  Seen all;
  while (!all.ended && all.status.ok()) {
    std::optional<std::uint64_t> after;
    if (!all.ids.empty()) after = all.ids.back();
    const std::size_t some = 1 + random() % 40;
    const int pause = random() % 3 == 0 ? static_cast<int>(random() % 200) : 0;
    Seen seen = co_await Read(hub, after, some, pause);
    for (const std::uint64_t id : seen.ids) all.ids.push_back(id);
    all.status = seen.status;
    all.ended = seen.ended;
  }
  co_return all;
}

void ExpectWhole(const Seen& seen, std::uint64_t first, std::uint64_t last) {
  EXPECT_TRUE(seen.status.ok()) << seen.status;
  ASSERT_EQ(seen.ids.size(), last - first + 1);
  for (std::size_t i = 0; i < seen.ids.size(); ++i) ASSERT_EQ(seen.ids[i], first + i);
}

class FeedTest : public ::testing::Test {
 protected:
  void Make(FeedLimits limits = {}) {
    limits.tick = 5ms;
    hub_ = std::make_unique<FeedHub>(runtime_.executor(), log_, SystemTime(), limits);
  }
  void TearDown() override { hub_->Stop(); }

  Runtime runtime_{2};
  ScriptedLog log_{100};
  std::unique_ptr<FeedHub> hub_;
};

TEST_F(FeedTest, ReadersOfAnySpeedThatComeAndGoSeeEveryFrameOnce) {
  for (unsigned round = 0; round < 4; ++round) {
    ScriptedLog log(100);
    FeedLimits limits;
    limits.max_frames = 8;  // small, so that slow readers fall out all the time
    limits.kept_frames = 3;
    limits.ahead_frames = 1 + round * 3;
    limits.gather_bytes = 600;
    FeedHub hub(runtime_.executor(), log, SystemTime(), limits);
    TaskScope scope(runtime_.executor());
    std::vector<std::optional<Seen>> seen(40);
    constexpr int kEvents = 600;
    for (unsigned i = 0; i < seen.size(); ++i) {
      if (i % 4 == 0) {
        scope.Spawn("steady", KeepResult(Read(hub, std::nullopt, kEvents + 1, 0), &seen[i]));
      } else if (i % 4 == 1) {
        scope.Spawn("slow", KeepResult(Read(hub, 0, kEvents + 1, static_cast<int>(i)), &seen[i]));
      } else {
        scope.Spawn("comes back", KeepResult(ReadInPieces(hub, round * 100 + i), &seen[i]));
      }
    }
    auto write = [](ScriptedLog& target) -> Task<void> {
      for (int i = 0; i < kEvents; ++i) {
        target.Add();
        if (i % 7 == 0) co_await Yield();
      }
      target.Finish();
    };
    scope.Spawn("writer", write(log));
    scope.JoinBlocking();
    for (const auto& one : seen) ExpectWhole(*one, 1, kEvents);
    hub.Stop();
    EXPECT_EQ(hub.feeds(), 0u);
  }
  Make();
}

TEST_F(FeedTest, ReadersThatWaitTogetherShareOneStream) {
  Make();
  TaskScope scope(runtime_.executor());
  std::vector<std::optional<Seen>> seen(200);
  for (auto& one : seen) scope.Spawn("reader", KeepResult(Read(*hub_, std::nullopt, 1000, 0), &one));
  for (int i = 0; i < 50; ++i) log_.Add();
  log_.Finish();
  scope.JoinBlocking();
  for (const auto& one : seen) ExpectWhole(*one, 1, 50);
  EXPECT_LT(log_.opened(), 20);
}

TEST_F(FeedTest, PrincipalsDoNotShare) {
  Make();
  TaskScope scope(runtime_.executor());
  std::vector<std::optional<Seen>> seen(2);
  scope.Spawn("a", KeepResult(Read(*hub_, 0, 5, 0, "alice"), &seen[0]));
  scope.Spawn("b", KeepResult(Read(*hub_, 0, 5, 0, "bob"), &seen[1]));
  for (int i = 0; i < 5; ++i) log_.Add();
  scope.JoinBlocking();
  EXPECT_EQ(log_.opened(), 2);
}

TEST_F(FeedTest, StartsAfterTheCursor) {
  Make();
  for (int i = 0; i < 10; ++i) log_.Add();
  log_.Finish();
  ExpectWhole(RunTask(Read(*hub_, 7, 100, 0)), 8, 10);
}

TEST_F(FeedTest, ARefusalIsTheAnswerToOpen) {
  Make();
  log_.Refuse(FailedPrecondition(Reason::kStreamClosed, "r", "Event stream closed."));
  const Seen seen = RunTask(Read(*hub_, std::nullopt, 1, 0));
  EXPECT_EQ(ReasonOf(seen.status), Reason::kStreamClosed);
}

TEST_F(FeedTest, AStreamThatBreaksGivesItsFramesFirst) {
  Make();
  for (int i = 0; i < 3; ++i) log_.Add();
  log_.Finish(Unavailable(Reason::kDraining, "", "going down"));
  const Seen seen = RunTask(Read(*hub_, std::nullopt, 100, 0));
  EXPECT_EQ(seen.ids.size(), 3u);
  EXPECT_EQ(seen.status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(FeedTest, FetchesLittleAheadOfTheFastestReader) {
  FeedLimits limits;
  limits.ahead_frames = 4;
  Make(limits);
  for (int i = 0; i < 1000; ++i) log_.Add();
  auto hold = [](FeedHub& hub, ScriptedLog& log) -> Task<int> {
    const v1::StreamRunEventsRequest request = Request(std::nullopt);
    const auto reader = co_await hub.Open(StreamRoute(), request, By("p"));
    for (int i = 0; i < 2000; ++i) co_await Yield();
    co_return log.fetched();
  };
  EXPECT_LE(RunTask(hold(*hub_, log_)), 4);
}

TEST_F(FeedTest, AReaderWithNothingToReadGetsPings) {
  FeedLimits limits;
  limits.heartbeat = 10ms;
  Make(limits);
  auto two_pings = [](FeedHub& hub) -> Task<int> {
    const v1::StreamRunEventsRequest request = Request(std::nullopt);
    const auto reader = co_await hub.Open(StreamRoute(), request, By("p"));
    std::vector<http::Piece> frames;
    while (frames.size() < 2) {
      if (*(*reader)->Poll(frames) == FeedReader::State::kWait) (void)co_await (*reader)->Wait();
    }
    co_return *frames[0] == ": ping\n\n" && *frames[1] == ": ping\n\n" ? 2 : 0;
  };
  EXPECT_EQ(RunTask(two_pings(*hub_)), 2);
}

TEST_F(FeedTest, DrainEndsReadersWhenTheyHaveWhatIsThere) {
  Make();
  TaskScope scope(runtime_.executor());
  std::optional<Seen> seen;
  for (int i = 0; i < 3; ++i) log_.Add();
  scope.Spawn("reader", KeepResult(Read(*hub_, std::nullopt, 100, 0), &seen));
  auto drain = [](FeedHub& hub, ScriptedLog& log) -> Task<void> {
    while (log.fetched() < 3) co_await Yield();
    hub.Drain();
  };
  scope.Spawn("drain", drain(*hub_, log_));
  scope.JoinBlocking();
  EXPECT_TRUE(seen->ended);
}

TEST_F(FeedTest, AFeedThatNobodyReadsIsCancelled) {
  Make();
  log_.Add();
  EXPECT_EQ(RunTask(Read(*hub_, std::nullopt, 1, 0)).ids.size(), 1u);
  auto gone = [](FeedHub& hub) -> Task<bool> {
    while (hub.feeds() > 0) co_await Yield();
    co_return true;
  };
  EXPECT_TRUE(RunTask(gone(*hub_)));
}

}  // namespace
}  // namespace fabro::transcode
