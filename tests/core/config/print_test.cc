#include "core/config/print.h"

#include <gtest/gtest.h>

#include "core/config/keys.h"
#include "core/config/load.h"

namespace fabro::config {
namespace {

constexpr std::string_view kFile = R"(
max_concurrent_runs = 7
[api]
port = 4000
authentication_strategies = ["jwt"]
[storage]
url = "postgresql://fabro:hunter22@db/fabro?password=hunter22"
[sandbox.env]
"odd key" = "hunter22"
[llm.fallbacks]
a = ["b", "c"]
[[hooks]]
event = "run_failed"
url = "https://user:hunter22@example.org"
headers = { X = "hunter22" }
matcher = "a.*"
[[hooks]]
event = "run_start"
command = "true"
sandbox = false
)";

TEST(ConfigPrint, GivesTomlThatReadsBackTheSameButForSecrets) {
  const auto loaded = LoadText(kFile, "s.toml", "/h");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::string text = PrintToml(*loaded);
  EXPECT_EQ(text.find("hunter22"), std::string::npos) << text;
  EXPECT_NE(text.find("port = 4000  # s.toml:4:8\n"), std::string::npos) << text;
  EXPECT_NE(text.find("url = \"postgresql://fabro:********@db/fabro?password=********\""), std::string::npos)
      << text;

  const auto again = LoadText(text, "again", "/h");
  ASSERT_TRUE(again.ok()) << again.status() << text;
  for (const Key& key : Keys()) {
    if (!key.is_secret) EXPECT_EQ(key.read(loaded->config), key.read(again->config)) << key.name;
  }
}

TEST(ConfigPrint, GivesHooksThatReadBackTheSame) {
  const auto loaded = LoadText(kFile, "s.toml", "/h");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto again = LoadText(PrintToml(*loaded), "again", "/h");
  ASSERT_TRUE(again.ok()) << again.status();
  HookList masked = loaded->config.hooks;
  masked[0].headers["X"] = "********";
  masked[0].url = "https://user:********@example.org";
  EXPECT_EQ(again->config.hooks, masked);
}

TEST(ConfigPrint, GivesJsonWithOrigins) {
  const auto loaded = LoadText(kFile, "s.toml", "/h");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::string json = PrintJson(*loaded);
  EXPECT_EQ(json.find("hunter22"), std::string::npos) << json;
  EXPECT_NE(json.find("\"api.port\":4000,"), std::string::npos) << json;
  EXPECT_NE(json.find("\"api.port\":\"s.toml:4:8\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"sandbox.env\":{\"odd key\":\"********\"}"), std::string::npos) << json;
}

TEST(ConfigKeys, EveryKeyTakesBackWhatItReads) {
  ServerConfig config;
  config.api.authentication_strategies.emplace();
  for (const Key& key : Keys()) {
    EXPECT_FALSE(key.wanted.empty()) << key.name;
    if (const auto value = key.read(config)) EXPECT_TRUE(key.assign(config, *value)) << key.name;
  }
}

}  // namespace
}  // namespace fabro::config
