#include "core/events/event_hub.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/base/error.h"
#include "tests/support/run_task.h"

namespace fabro::events {
namespace {

RunId RunOf(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[15] = static_cast<std::uint8_t>(n);
  return RunId::FromBytes(bytes);
}

Task<void> Follow(EventHub* hub, RunId run, EventSeq until, std::atomic<int>* done) {
  EventHub::Subscription subscription(*hub, run);
  EventSeq seen{0};
  ++*done;
  while (seen < until) {
    const absl::Status status = co_await subscription.WaitPast(seen);
    if (!status.ok()) co_return;
    seen = static_cast<EventSeq>(ToUint(seen) + 1);
  }
  ++*done;
}

TEST(EventHub, WakesEveryReaderAndForgetsTheRunAfterwards) {
  Runtime runtime(2);
  EventHub hub;
  std::atomic<int> done = 0;
  TaskScope scope(runtime.executor());
  for (int i = 0; i < 50; ++i) scope.Spawn("reader", Follow(&hub, RunOf(1), EventSeq{100}, &done));
  while (done < 50) std::this_thread::yield();
  for (std::uint64_t seq = 1; seq <= 100; ++seq) hub.Publish(RunOf(1), EventSeq{seq});
  scope.JoinBlocking();
  EXPECT_EQ(done, 100);
  EXPECT_EQ(hub.watched_runs(), 0u);
}

TEST(EventHub, ACancelledReaderLeavesNothingBehind) {
  Runtime runtime(2);
  EventHub hub;
  std::atomic<int> done = 0;
  TaskScope scope(runtime.executor());
  scope.Spawn("reader", Follow(&hub, RunOf(1), EventSeq{5}, &done));
  while (done < 1) std::this_thread::yield();
  hub.Publish(RunOf(2), EventSeq{9});  // nobody watches that one
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_EQ(done, 1);
  EXPECT_EQ(hub.watched_runs(), 0u);
}

TEST(EventHub, WhatWasPublishedSinceTheSubscriptionIsNotWaitedFor) {
  Runtime runtime(2);
  EventHub hub;
  EventHub::Subscription subscription(hub, RunOf(1));
  hub.Publish(RunOf(1), EventSeq{3});
  EXPECT_TRUE(testing::RunTask(runtime.executor(), subscription.WaitPast(EventSeq{2})).ok());
}

}  // namespace
}  // namespace fabro::events
