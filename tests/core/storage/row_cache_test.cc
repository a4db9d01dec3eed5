#include "core/storage/row_cache.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

namespace fabro::storage {
namespace {

RunId Id(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[15] = static_cast<std::uint8_t>(n);
  return RunId::FromBytes(bytes);
}

RunRow Row(int n, std::uint64_t head = 0) {
  RunRow row;
  row.id = Id(n);
  row.head = EventSeq(head);
  return row;
}

TEST(RowCache, ForgetsTheLeastRecentlyUsed) {
  RowCache cache({.rows = 2, .bytes = 1 << 20});
  cache.Put(Row(1));
  cache.Put(Row(2));
  EXPECT_NE(cache.Find(Id(1)), nullptr);
  cache.Put(Row(3));
  EXPECT_EQ(cache.Find(Id(2)), nullptr);
  EXPECT_NE(cache.Find(Id(1)), nullptr);
  EXPECT_NE(cache.Find(Id(3)), nullptr);
  cache.Erase(Id(1));
  EXPECT_EQ(cache.Find(Id(1)), nullptr);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(RowCache, IsBoundedInBytesAndLeavesGiantsOut) {
  RowCache cache({.rows = 1000, .bytes = 256 << 10});
  for (int n = 0; n < 200; ++n) {
    RunRow row = Row(n);
    row.goal = std::string(2000, 'g');
    cache.Put(row);
  }
  EXPECT_LT(cache.size(), 128u);
  EXPECT_GT(cache.size(), 32u);
  RunRow giant = Row(199);
  giant.goal = std::string(100'000, 'g');
  cache.Put(giant);
  EXPECT_EQ(cache.Find(Id(199)), nullptr);  // nor the row it replaces
  EXPECT_NE(cache.Find(Id(198)), nullptr);
}

TEST(RowCache, KeepsWhatAReaderFound) {
  RowCache cache({});
  cache.BeginFill(Id(1)).Keep(Row(1, 5));
  ASSERT_NE(cache.Find(Id(1)), nullptr);
  EXPECT_EQ(cache.Find(Id(1))->head, EventSeq{5});
}

TEST(RowCache, DropsWhatAReaderFoundBeforeAWrite) {
  RowCache cache({.rows = 1, .bytes = 1 << 20});
  RowCache::Fill late = cache.BeginFill(Id(1));
  RowCache::Fill also_late = cache.BeginFill(Id(1));
  cache.Put(Row(1, 6));
  RowCache::Fill in_time = cache.BeginFill(Id(1));
  cache.Put(Row(2));  // pushes run 1 out
  late.Keep(Row(1, 5));
  EXPECT_EQ(cache.Find(Id(1)), nullptr);
  in_time.Keep(Row(1, 6));
  EXPECT_EQ(cache.Find(Id(1))->head, EventSeq{6});
  cache.Erase(Id(1));
  also_late.Keep(Row(1, 5));
  EXPECT_EQ(cache.Find(Id(1)), nullptr);
}

// The database is an array of versions. A writer raises a version there and then in the cache; readers fill
// the cache from the array, slowly. Nobody may see less than what was complete before he looked.
TEST(RowCache, NeverShowsLessThanWhatWasWritten) {
  constexpr int kRuns = 4;
  constexpr std::uint64_t kVersions = 200'000;  // at least; and until the readers have had their share
  constexpr int kHits = 5'000;
  RowCache cache({.rows = 2, .bytes = 1 << 20});
  std::array<std::atomic<std::uint64_t>, kRuns> database{};
  std::array<std::atomic<std::uint64_t>, kRuns> complete{};
  std::atomic<bool> done = false;
  std::atomic<int> stale = 0;
  std::atomic<int> hits = 0;
  auto read = [&] {
    for (int n = 0; !done; n = (n + 1) % kRuns) {
      const std::uint64_t floor = complete[n];
      if (const auto row = cache.Find(Id(n))) {
        ++hits;
        if (ToUint(row->head) < floor) ++stale;
        continue;
      }
      RowCache::Fill fill = cache.BeginFill(Id(n));
      const std::uint64_t version = database[n];
      std::this_thread::yield();
      const std::uint64_t written = complete[n];
      fill.Keep(Row(n, version));
      if (const auto row = cache.Find(Id(n)); row && ToUint(row->head) < written) ++stale;
    }
  };
  std::thread first(read);
  std::thread second(read);
  for (std::uint64_t version = 1; version <= kVersions || hits < kHits; ++version) {
    const int n = static_cast<int>(version % kRuns);
    database[n] = version;
    if (version % 7 == 0) {
      cache.Erase(Id(n));
    } else {
      cache.Put(Row(n, version));
    }
    complete[n] = version;
    if (version % 64 == 0) std::this_thread::yield();
  }
  done = true;
  first.join();
  second.join();
  EXPECT_EQ(stale, 0);
}

}  // namespace
}  // namespace fabro::storage
