#include "gateway/auth/rate_limiter.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "tests/support/manual_time.h"

namespace fabro::auth {
namespace {

using namespace std::chrono_literals;
using fabro::testing::ManualTime;

TEST(RateLimiter, AllowsABurstAndThenTheRate) {
  ManualTime time;
  RateLimiter limiter({.per_second = 10, .burst = 3}, time);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.TakeFor("alice").ok()) << i;
  const absl::Status refused = limiter.TakeFor("alice");
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(DetailOf(refused)->retry_after, 100ms);
  time.Advance(99ms);
  EXPECT_FALSE(limiter.TakeFor("alice").ok());
  time.Advance(1ms);
  EXPECT_TRUE(limiter.TakeFor("alice").ok());
  EXPECT_FALSE(limiter.TakeFor("alice").ok());
  time.Advance(1h);  // no more than the burst is saved up
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.TakeFor("alice").ok()) << i;
  EXPECT_FALSE(limiter.TakeFor("alice").ok());
}

TEST(RateLimiter, WithoutABurstASecondsWorthMayComeAtOnce) {
  ManualTime time;
  RateLimiter limiter({.per_second = 5}, time);
  int allowed = 0;
  for (int i = 0; i < 20; ++i) allowed += limiter.TakeFor("alice").ok() ? 1 : 0;
  EXPECT_EQ(allowed, 5);
}

TEST(RateLimiter, AnotherLimitHoldsAtOnce) {
  ManualTime time;
  RateLimiter limiter({}, time);  // none
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.TakeFor("alice").ok());
  EXPECT_FALSE(limiter.IsSpent("alice"));
  limiter.Set({.per_second = 1, .burst = 2});
  EXPECT_TRUE(limiter.TakeFor("alice").ok());
  EXPECT_TRUE(limiter.TakeFor("alice").ok());
  EXPECT_FALSE(limiter.TakeFor("alice").ok());
  limiter.Set({.per_second = 1, .burst = 3});
  EXPECT_TRUE(limiter.TakeFor("alice").ok());
  EXPECT_FALSE(limiter.TakeFor("alice").ok());
  limiter.Set({});
  EXPECT_TRUE(limiter.TakeFor("alice").ok());
}

TEST(RateLimiter, CountsEachForItself) {
  ManualTime time;
  RateLimiter limiter({.per_second = 1}, time);
  EXPECT_TRUE(limiter.TakeFor("alice").ok());
  EXPECT_FALSE(limiter.TakeFor("alice").ok());
  EXPECT_TRUE(limiter.TakeFor("bob").ok());
  EXPECT_TRUE(limiter.TakeForAddress("alice").ok());  // a name is no address
  EXPECT_FALSE(limiter.IsSpent("10.0.0.1"));
  EXPECT_TRUE(limiter.TakeForAddress("10.0.0.1").ok());
  EXPECT_TRUE(limiter.IsSpent("10.0.0.1"));
  EXPECT_FALSE(limiter.IsSpent("10.0.0.2"));
  time.Advance(1s);
  EXPECT_FALSE(limiter.IsSpent("10.0.0.1"));
  metrics::Text text;
  limiter.Write(text);
  EXPECT_NE(text.Take().find("fabro_rate_limited_total{by=\"principal\"} 1\n"), std::string::npos);
}

TEST(RateLimiter, TakesANetworkOfIpv6ForOneAddress) {
  EXPECT_EQ(NetworkOf("2001:db8:1:2:3:4:5:6"), NetworkOf("2001:db8:1:2::9"));
  EXPECT_NE(NetworkOf("2001:db8:1:2::9"), NetworkOf("2001:db8:1:3::9"));
  EXPECT_EQ(NetworkOf("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(NetworkOf("::ffff:10.0.0.1"), "::ffff:10.0.0.1");
  EXPECT_EQ(NetworkOf("nonsense"), "nonsense");
}

TEST(Buckets, ForgetWhoHasNotAskedForLongest) {
  ManualTime time;
  Buckets buckets({.per_second = 1}, 16, time);  // 16 parts of one
  EXPECT_EQ(buckets.Take("x"), 0ns);
  EXPECT_TRUE(buckets.IsEmpty("x"));
  for (int i = 0; i < 1000; ++i) (void)buckets.Take(StrCat("other", i));
  EXPECT_FALSE(buckets.IsEmpty("x"));
}

TEST(Buckets, TakeTheGreatestLimits) {
  ManualTime time;
  Buckets buckets({.per_second = 1'000'000'000, .burst = 1'000'000'000}, 16, time);
  EXPECT_EQ(buckets.Take("x"), 0ns);
  Buckets slow({.per_second = 1, .burst = 1'000'000'000}, 16, time);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(slow.Take("x"), 0ns);
}

}  // namespace
}  // namespace fabro::auth
