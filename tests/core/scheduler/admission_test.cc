#include "core/scheduler/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/seeded_random.h"

namespace fabro::scheduler {
namespace {

using Class = Admission::Class;
using testing::SeededRandom;

RunId Id(int number) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[15] = static_cast<std::uint8_t>(number);
  bytes[14] = static_cast<std::uint8_t>(number >> 8);
  return RunId::FromBytes(bytes);
}

TEST(Admission, GrantsNothingBeforeItsStartNorAfterItsStop) {
  std::vector<RunId> granted;
  Admission admission(1, [&](RunId run) { granted.push_back(run); });
  admission.Enqueue(Id(1), Class::kNew, 0, 1);
  admission.Enqueue(Id(2), Class::kNew, 0, 2);
  EXPECT_TRUE(granted.empty());
  admission.Start();
  EXPECT_EQ(granted, std::vector<RunId>{Id(1)});
  admission.Stop();
  admission.Leave(Id(1));
  EXPECT_EQ(granted.size(), 1U);
  EXPECT_EQ(admission.counts().waiting_new, 1U);
}

TEST(Admission, OrdersByClassThenPriorityThenKeyThenId) {
  std::vector<RunId> granted;
  Admission admission(0, [&](RunId run) { granted.push_back(run); });
  admission.Start();
  admission.Enqueue(Id(1), Class::kNew, 9, 1);
  admission.Enqueue(Id(2), Class::kNew, 0, 5);
  admission.Enqueue(Id(4), Class::kNew, 0, 4);
  admission.Enqueue(Id(3), Class::kNew, 0, 4);
  admission.Enqueue(Id(5), Class::kResumable, -1, 9);
  admission.Enqueue(Id(6), Class::kResumable, 0, 9);
  EXPECT_EQ(admission.QueuePosition(Id(1)), 1);
  EXPECT_EQ(admission.QueuePosition(Id(2)), 4);
  EXPECT_EQ(admission.QueuePosition(Id(6)), std::nullopt);
  EXPECT_EQ(admission.QueuePosition(Id(77)), std::nullopt);
  admission.SetSlots(6);
  EXPECT_EQ(granted, (std::vector<RunId>{Id(6), Id(5), Id(1), Id(3), Id(4), Id(2)}));
}

TEST(Admission, FewerSlotsTakeNoneAway) {
  int granted = 0;
  Admission admission(3, [&](RunId) { ++granted; });
  admission.Start();
  for (int i = 1; i <= 4; ++i) admission.Enqueue(Id(i), Class::kNew, 0, i);
  EXPECT_EQ(granted, 3);
  admission.SetSlots(1);
  EXPECT_EQ(admission.counts().held, 3U);
  admission.Leave(Id(1));
  admission.Leave(Id(2));
  EXPECT_EQ(granted, 3);
  admission.Leave(Id(3));
  EXPECT_EQ(granted, 4);
}

// Against a list that is searched from end to end.
TEST(Admission, DoesWhatAListWould) {
  using Place = std::tuple<Class, int, int, RunId>;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    std::vector<RunId> granted;
    std::size_t slots = random.Below(4);
    Admission admission(slots, [&](RunId run) { granted.push_back(run); });
    admission.Start();
    std::vector<Place> waiting;
    std::vector<RunId> held;
    for (int step = 0; step < 400; ++step) {
      granted.clear();
      const RunId run = Id(static_cast<int>(random.Below(12)));
      const bool waits = std::any_of(waiting.begin(), waiting.end(),
                                     [&](const Place& place) { return std::get<RunId>(place) == run; });
      const bool holds = std::find(held.begin(), held.end(), run) != held.end();
      const std::size_t deed = random.Below(9);
      if (deed < 5) {
        const auto run_class = random.Below(2) == 0 ? Class::kNew : Class::kResumable;
        const int priority = static_cast<int>(random.Below(3)) - 1;
        const int key = static_cast<int>(random.Below(4));
        admission.Enqueue(run, run_class, priority, key);
        if (!waits && !holds) waiting.emplace_back(run_class, -priority, key, run);
      } else if (deed < 8) {
        admission.Leave(run);
        std::erase(held, run);
        std::erase_if(waiting, [&](const Place& place) { return std::get<RunId>(place) == run; });
      } else {
        slots = random.Below(5);
        admission.SetSlots(slots);
      }
      std::vector<RunId> expected;
      while (held.size() < slots && !waiting.empty()) {
        const auto next = std::min_element(waiting.begin(), waiting.end());
        expected.push_back(std::get<RunId>(*next));
        held.push_back(std::get<RunId>(*next));
        waiting.erase(next);
      }
      ASSERT_EQ(granted, expected) << "step " << step;
      ASSERT_EQ(admission.counts().held, held.size());
      ASSERT_EQ(admission.counts().waiting_new + admission.counts().waiting_resumable, waiting.size());
    }
  }
}

// Whoever is granted a slot gives it back at once, from many threads: none may get lost.
TEST(Admission, LosesNoSlotAmongThreads) {
  constexpr int kThreads = 4;
  constexpr int kRunsEach = 500;
  std::atomic<int> granted = 0;
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  Admission* self = nullptr;
  Mutex mutex;
  std::deque<RunId> holding;
  Admission admission(3, [&](RunId run) {
    ++granted;
    const int now = ++at_once;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    MutexLock lock(&mutex);
    holding.push_back(run);
  });
  self = &admission;
  admission.Start();
  const auto give_back = [&] {
    RunId run;
    {
      MutexLock lock(&mutex);
      if (holding.empty()) return;
      run = holding.front();
      holding.pop_front();
    }
    --at_once;
    self->Leave(run);
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRunsEach; ++i) {
        self->Enqueue(Id(t * kRunsEach + i), i % 2 == 0 ? Class::kNew : Class::kResumable, 0, i);
        give_back();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (granted < kThreads * kRunsEach) give_back();
  while (admission.counts().held > 0) give_back();
  EXPECT_EQ(granted, kThreads * kRunsEach);
  EXPECT_LE(most, 3);
  EXPECT_EQ(admission.counts().held, 0U);
}

}  // namespace
}  // namespace fabro::scheduler
