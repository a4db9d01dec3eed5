#include "core/engine/signature.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/base/strings.h"

namespace fabro::engine {
namespace {

std::string Normal(std::string_view message) {
  return FailureSignature("n", FailureClass::kDeterministic, message)
      .substr(StrCat("n|deterministic|").size());
}

TEST(FailureSignature, TakesOutWhatDiffersFromTimeToTime) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", ""},
      {"Exit Code 17", "exit code <n>"},
      {"at 0x7ffE12 and 0xZZ", "at <hex> and <n>xzz"},
      {"0x", "<n>x"},
      {"commit deadbeef", "commit <hex>"},
      {"commit deadbee", "commit deadbee"},
      {"commit DEADBEEF00", "commit <hex>"},
      {"12345678", "<hex>"},
      {"1234567", "<n>"},
      {"feed12 4ba", "feed<n> <n>ba"},
      {"took 3.25s", "took <n>.<n>s"},
      {"a1b2", "a<n>b<n>"},
      {"Fehler: Übergröße", "fehler: Übergröße"},
  };
  for (const auto& [message, normal] : cases) EXPECT_EQ(Normal(message), normal) << message;
}

TEST(FailureSignature, NamesNodeAndClass) {
  EXPECT_EQ(FailureSignature("build", FailureClass::kTransientInfra, "HTTP 503"),
            "build|transient_infra|http <n>");
}

TEST(FailureSignature, CutsLongMessagesAtACharacter) {
  EXPECT_EQ(Normal(std::string(100000, 'x')), std::string(240, 'x'));
  EXPECT_EQ(CountUtf8(Normal(ReplaceAll(std::string(1000, 'x'), "x", "\u00fc"))), 240U);
  EXPECT_EQ(Normal(std::string(100000, 'f')), "<hex>");
}

TEST(FailureSignature, CountsOnlyFailuresThatComeBack) {
  EXPECT_TRUE(CountsInBreaker(FailureClass::kDeterministic));
  EXPECT_TRUE(CountsInBreaker(FailureClass::kStructural));
  EXPECT_FALSE(CountsInBreaker(FailureClass::kTransientInfra));
  EXPECT_FALSE(CountsInBreaker(FailureClass::kBudgetExhausted));
  EXPECT_FALSE(CountsInBreaker(FailureClass::kCanceled));
  EXPECT_FALSE(CountsInBreaker(FailureClass::kCompilationLoop));
}

}  // namespace
}  // namespace fabro::engine
