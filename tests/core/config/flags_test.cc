#include "core/config/flags.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/config/keys.h"

namespace fabro::config {
namespace {

TEST(Flags, EveryOneSetsAKeyThatExists) {
  for (const Program program : {Program::kServe, Program::kCore, Program::kGateway}) {
    for (const Flag& flag : FlagsOf(program)) {
      const Key* key = FindKey(flag.key);
      ASSERT_NE(key, nullptr) << flag.name;
      if (!flag.fixed.empty())
        EXPECT_TRUE(ValueFromText(*key, std::string(flag.fixed)).has_value()) << flag.name;
      EXPECT_NE(HelpFor(program, "x").find(flag.name), std::string::npos);
    }
  }
}

TEST(Flags, AreReadWithAndWithoutEquals) {
  const auto parsed =
      ParseFlags(Program::kServe, {"--port", "0", "--host=::1", "--debug", "--config", "a=b"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config_path, "a=b");
  ASSERT_EQ(parsed->overrides.size(), 3u);
  EXPECT_EQ(parsed->overrides[0].key, "api.port");
  EXPECT_EQ(parsed->overrides[0].text, "0");
  EXPECT_EQ(parsed->overrides[1].text, "::1");
  EXPECT_EQ(parsed->overrides[2].key, "log.level");
  EXPECT_EQ(parsed->overrides[2].text, "debug");
  EXPECT_EQ(parsed->overrides[2].origin, "--debug");
}

TEST(Flags, SayWhatIsWrong) {
  const auto message = [](const std::vector<std::string>& args) {
    return MessageOf(ParseFlags(Program::kCore, args).status());
  };
  EXPECT_EQ(message({"--lissten", "x"}), "--lissten: no such flag; did you mean --listen?");
  EXPECT_EQ(message({"--listen"}), "--listen needs a value");
  EXPECT_EQ(message({"--debug=1"}), "--debug takes no value");
  EXPECT_EQ(message({"serve"}), "serve: flags only, no other words");
  EXPECT_EQ(message({"--port", "1"}).rfind("--port: no such flag", 0), 0u);  // the gateway's
}

}  // namespace
}  // namespace fabro::config
