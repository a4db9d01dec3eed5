#include "core/events/redactor.h"

#include <gtest/gtest.h>

#include "core/base/secret_names.h"
#include "core/base/strings.h"

namespace fabro::events {
namespace {

// Put together here, so that no scanner takes the test itself for a leak.
std::string Times(int count, char c) { return std::string(static_cast<std::size_t>(count), c); }

TEST(Redactor, TakesOutKnownShapes) {
  const Redactor redactor({});
  const std::vector<std::string> secrets = {
      "sk-" + Times(24, 'a'),
      "sk-ant-" + Times(30, 'B'),
      "AKIA" + Times(16, 'X'),
      "ghp_" + Times(36, 'c'),
      "github_pat_" + Times(30, 'd'),
      "glpat-" + Times(20, 'e'),
      "xoxb-" + Times(12, '1'),
      "AIza" + Times(35, 'f'),
      "sk_live_" + Times(24, 'g'),
      "npm_" + Times(36, 'h'),
      "eyJ" + Times(20, 'i') + "." + Times(20, 'j') + "." + Times(20, 'k')};
  for (const std::string& secret : secrets) {
    EXPECT_EQ(redactor.Redact("key=" + secret + " next"), "key=REDACTED next") << secret;
  }
  EXPECT_EQ(redactor.Redact("Authorization: Bearer " + Times(20, 'x') + "=="),
            "Authorization: Bearer REDACTED");
  EXPECT_EQ(redactor.Redact("aws_secret_access_key = " + Times(40, 'z')), "aws_secret_access_key = REDACTED");
  EXPECT_EQ(redactor.Redact("a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb"),
            "a\nREDACTED\nb");
}

TEST(Redactor, LeavesTheRestAlone) {
  const Redactor redactor({{"HOME", "/home/somebody"}, {"SHORT_TOKEN", "1234567"}});
  for (const char* text : {"", "plain text", "sk-short", "the bearer of news",
                           "d41d8cd98f00b204e9800998ecf8427e", "/home/somebody", "1234567",
                           "-----BEGIN PUBLIC KEY-----", "risk-aversion-is-a-long-word-with-dashes"}) {
    EXPECT_EQ(redactor.Redact(text), text);
  }
}

TEST(Redactor, TakesOutTheExactValuesOfSecretVariables) {
  const Redactor redactor({{"MY_API_KEY", "open sesame"}, {"DB_PASSWORD", "open sesame now"}});
  EXPECT_EQ(redactor.Redact("say open sesame now, or open sesame!"), "say REDACTED, or REDACTED!");
}

TEST(StreamRedactor, FindsSecretsCutAnywhere) {
  const Redactor redactor({{"X_SECRET", "swordfish-42"}});
  const std::string text =
      "one swordfish-42 two\nkey sk-" + Times(30, 'a') +
      "\n-----BEGIN PRIVATE KEY-----\nabc\ndef\n-----END PRIVATE KEY-----\nlast swordfish-42";
  const std::string expected = redactor.Redact(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    for (std::size_t second = cut; second <= text.size(); second += 7) {
      StreamRedactor stream(redactor);
      std::string shown = stream.Push(text.substr(0, cut));
      shown += stream.Push(text.substr(cut, second - cut));
      shown += stream.Push(text.substr(second));
      shown += stream.Finish();
      ASSERT_EQ(shown, expected) << cut << " " << second;
    }
  }
}

TEST(StreamRedactor, HoldsABoundedAmountBack) {
  const Redactor redactor({});
  StreamRedactor stream(redactor);
  std::size_t shown = 0;
  for (int i = 0; i < 1000; ++i) shown += stream.Push(Times(1000, 'x')).size();
  EXPECT_GE(shown, 1'000'000 - 2 * StreamRedactor::kHeldLine);
  shown += stream.Push("-----BEGIN PRIVATE KEY-----\n").size();
  for (int i = 0; i < 1000; ++i) shown += stream.Push(Times(99, 'y') + "\n").size();
  EXPECT_LT(shown, 1'000'000u + 1000u) << "the block was shown";
}

TEST(SecretNames, AreKnownByTheirEnding) {
  for (const char* name :
       {"OPENAI_API_KEY", "x_token", "DATABASE_URL", "MYDATABASE_URL", "AWS_SECRET_ACCESS_KEY"}) {
    EXPECT_TRUE(IsSecretName(name)) << name;
  }
  for (const char* name : {"PATH", "TOKENS", "API_KEY_FILE"}) EXPECT_FALSE(IsSecretName(name)) << name;
}

}  // namespace
}  // namespace fabro::events
