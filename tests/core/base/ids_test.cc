#include "core/base/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace fabro {
namespace {

class CountingRandom final : public Random {
 public:
  explicit CountingRandom(std::uint64_t next) : next_(next) {}
  std::uint64_t Next() override { return next_++; }

 private:
  std::uint64_t next_;
};

TEST(RunId, TextGoesThereAndBack) {
  const auto id = RunId::Parse("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->ToString(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(RunId::Parse("01arz3ndektsv4rrffq69g5fav"), id);
  EXPECT_EQ(RunId::Parse("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")->ToString(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
}

TEST(RunId, RefusesWhatIsNoUlid) {
  for (const char* text : {"", "abc123", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
                           "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU",
                           "01ARZ3NDEKTSV4RRFFQ69G5F V", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"}) {
    EXPECT_FALSE(RunId::Parse(text).has_value()) << text;
  }
}

TEST(RunIdSource, IdsIncreaseWithinAMillisecondAndWhenTheClockGoesBack) {
  CountingRandom random(~std::uint64_t{0} - 2);
  RunIdSource source(random);
  RunId last;
  for (int i = 0; i < 1000; ++i) {
    const RunId id = source.Next({1'800'000'000'000 - i / 10});
    EXPECT_LT(last, id);
    EXPECT_LT(last.ToString(), id.ToString());
    last = id;
  }
}

TEST(RunId, KnowsWhenItWasMade) {
  CountingRandom random(7);
  RunIdSource source(random);
  EXPECT_EQ(source.Next({1'900'000'000'123}).created_at(), (Timestamp{1'900'000'000'123}));
}

}  // namespace
}  // namespace fabro
