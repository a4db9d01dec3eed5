#include "core/config/load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/error.h"

namespace fabro::config {
namespace {

class ConfigLoad : public testing::Test {
 protected:
  ConfigLoad() {
    std::string pattern = testing::TempDir() + "config_XXXXXX";
    home_ = ::mkdtemp(pattern.data());
  }
  ~ConfigLoad() override { std::filesystem::remove_all(home_); }

  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = home_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  Sources At() {
    Sources sources;
    sources.home = home_.string();
    sources.working_dir = (home_ / "cwd").string();
    return sources;
  }

  std::filesystem::path home_;
};

bool Has(const std::vector<std::string>& texts, const std::string& part) {
  for (const std::string& text : texts) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

TEST_F(ConfigLoad, HoldsTheDefaultsWithoutAFile) {
  const auto loaded = Load(At());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const ServerConfig& config = loaded->config;
  const std::string storage = home_.string() + "/.fabro";
  EXPECT_EQ(config.storage_dir, storage);
  EXPECT_EQ(config.storage_url, "sqlite:" + storage + "/fabro.db");
  EXPECT_EQ(config.core.listen, "unix:" + storage + "/core.sock");
  EXPECT_EQ(config.gateway.core, "unix:" + storage + "/core.sock");
  EXPECT_EQ(config.workflow_dirs, (StringList{storage + "/workflows", "./.fabro/workflows"}));
  EXPECT_EQ(config.api.host, "127.0.0.1");
  EXPECT_EQ(config.api.port, 3000);
  EXPECT_EQ(config.api.base_url, "http://localhost:3000");
  EXPECT_FALSE(config.api.authentication_strategies.has_value());
  EXPECT_EQ(config.max_concurrent_runs, 5);
  EXPECT_EQ(config.log.level, LogLevel::kInfo);
  EXPECT_EQ(loaded->file, "");
  EXPECT_TRUE(loaded->warnings.empty());
}

TEST_F(ConfigLoad, FlagsBeatEnvironmentBeatsFile) {
  Write(".fabro/server.toml", "[log]\nlevel = \"error\"\n[api]\nport = 4000\nhost = \"::1\"\n");
  Sources sources = At();
  sources.environment.Set("FABRO_LOG", "warn");
  auto loaded = Load(sources);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.log.level, LogLevel::kWarn);
  EXPECT_EQ(loaded->config.api.port, 4000);

  sources.overrides = {{"log.level", "debug", "--debug"}, {"api.port", "0", "--port"}};
  loaded = Load(sources);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.log.level, LogLevel::kDebug);
  EXPECT_EQ(loaded->config.api.port, 0);
  EXPECT_EQ(loaded->config.api.base_url, "");
  EXPECT_EQ(loaded->config.api.host, "::1");
  EXPECT_EQ(loaded->origins["api.port"], "--port");
  EXPECT_EQ(loaded->origins["api.host"], home_.string() + "/.fabro/server.toml:5:8");
}

TEST_F(ConfigLoad, PicksTheFlagsFileThenTheVariablesThenTheHomes) {
  Write("a.toml", "max_concurrent_runs = 1");
  Write("b.toml", "max_concurrent_runs = 2");
  Write(".fabro/server.toml", "max_concurrent_runs = 3");
  Sources sources = At();
  EXPECT_EQ(Load(sources)->config.max_concurrent_runs, 3);
  sources.environment.Set("FABRO_CONFIG", "~/b.toml");
  EXPECT_EQ(Load(sources)->config.max_concurrent_runs, 2);
  sources.config_path = (home_ / "a.toml").string();
  EXPECT_EQ(Load(sources)->config.max_concurrent_runs, 1);

  sources.config_path = "/nowhere/x.toml";
  EXPECT_EQ(Load(sources).status().code(), absl::StatusCode::kNotFound);
  sources.config_path.reset();
  sources.environment.Set("FABRO_CONFIG", "/nowhere/x.toml");
  const auto loaded = Load(sources);
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(Has(loaded->warnings, "/nowhere/x.toml is not there"));
}

TEST_F(ConfigLoad, ReadsBothEnvFilesAndTheEnvironmentWins) {
  Write("cwd/.env", "A=cwd\nB=cwd\nFABRO_LOG=error\n");
  Write("data/.env", "B=storage\nC='from storage'\nbroken line\n");
  Sources sources = At();
  sources.environment.Set("A", "process");
  sources.overrides = {{"storage_dir", "~/data", "--storage-dir"}};
  const auto loaded = Load(sources);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->environment.Find("A"), "process");
  EXPECT_EQ(loaded->environment.Find("B"), "cwd");
  EXPECT_EQ(loaded->environment.Find("C"), "from storage");
  EXPECT_EQ(loaded->config.log.level, LogLevel::kError);
  EXPECT_TRUE(Has(loaded->warnings, "data/.env:3: not of the form NAME=value"));
}

TEST_F(ConfigLoad, RefusesAFlagOutOfBoundsByItsName) {
  Sources sources = At();
  sources.overrides = {{"api.port", "70000", "--port"},
                       {"max_concurrent_runs", "many", "--max-concurrent-runs"}};
  const auto loaded = Load(sources);
  ASSERT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      MessageOf(loaded.status()),
      "--port: api.port: must be a whole number from 0 to 65535, not \"70000\"\n"
      "--max-concurrent-runs: max_concurrent_runs: must be a whole number from 1 to 10000, not \"many\"");
}

TEST(ConfigText, SaysFileLineKeyAndWhatWouldBeRightForEveryBadValue) {
  const auto loaded =
      LoadText("max_concurrent_runs = 0\n[api]\nport = \"x\"\n[log]\nlevel = \"loud\"\n", "s.toml", "");
  EXPECT_EQ(MessageOf(loaded.status()),
            "s.toml:3:8: api.port: must be a whole number from 0 to 65535, not 'x'\n"
            "s.toml:5:9: log.level: must be \"debug\", \"info\", \"warn\", \"error\" or \"off\", not 'loud'\n"
            "s.toml:1:23: max_concurrent_runs: must be a whole number from 1 to 10000, not 0");
}

TEST(ConfigText, WarnsOfAnUnknownKeyWithTheNearestName) {
  const auto loaded = LoadText("max_concurent_runs = 2\n[apii]\nport = 1\n[x.y]\nz = 1\n", "s.toml", "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(Has(loaded->warnings,
                  "s.toml:1:22: max_concurent_runs: no such setting; did you mean "
                  "max_concurrent_runs?"));
  EXPECT_TRUE(Has(loaded->warnings, "apii.port: no such setting; did you mean api.port?"));
  EXPECT_TRUE(Has(loaded->warnings, "x.y.z: no such setting"));
  EXPECT_EQ(loaded->config.max_concurrent_runs, 5);
}

TEST(ConfigText, RefusesAValueWhereATableBelongs) {
  const auto loaded = LoadText("api = 3\n", "s.toml", "");
  EXPECT_EQ(MessageOf(loaded.status()), "s.toml:1:7: api: must be a table, not 3");
}

TEST(ConfigText, RefusesTextThatIsNoToml) {
  const auto loaded = LoadText("[api\nport = 1", "s.toml", "");
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(loaded.status()).rfind("s.toml:1:", 0), 0u) << loaded.status();
}

TEST(ConfigText, TakesOtherCharactersThanAsciiInStringsAndCommentsOnly) {
  const auto loaded = LoadText(
      "\xEF\xBB\xBF# é\n[vars]\n\"é\" = 'é'\nb = \"\"\"é\"\"\"\"\" # \"é\nc = '''é\nx'''\nd = \"\\\"é\"\n",
      "s", "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.vars, (StringMap{{"é", "é"}, {"b", "é\"\""}, {"c", "é\nx"}, {"d", "\"é"}}));
  EXPECT_EQ(MessageOf(LoadText("a = 1\nb = é\n", "s", "").status()),
            "s:2:5: not valid TOML: a character that is not ASCII must stand in quotes");
}

TEST(ConfigText, RefusesTextOnWhichTheTomlLibraryAsserts) {
  EXPECT_EQ(LoadText("[\n[api]\n", "s.toml", "").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ConfigText, ReadsBothFormsOfAuthenticationStrategies) {
  const std::vector<AuthStrategy> both = {AuthStrategy::kJwt, AuthStrategy::kMtls};
  auto loaded = LoadText("[api]\nauthentication_strategies = [\"jwt\", \"mtls\"]\n", "s", "");
  EXPECT_EQ(loaded->config.api.authentication_strategies, both);
  loaded = LoadText(
      "[[api.authentication_strategies]]\ntype = \"Jwt\"\n[[api.authentication_strategies]]\n"
      "type = \"Mtls\"\n",
      "s", "");
  EXPECT_EQ(loaded->config.api.authentication_strategies, both);
  loaded = LoadText("[api]\nauthentication_strategies = []\n", "s", "");
  ASSERT_TRUE(loaded->config.api.authentication_strategies.has_value());
  EXPECT_TRUE(loaded->config.api.authentication_strategies->empty());
  EXPECT_FALSE(LoadText("[api]\nauthentication_strategies = [\"none\"]\n", "s", "").ok());
  EXPECT_FALSE(LoadText("[api]\nauthentication_strategies = [\"jwt\", \"Jwt\"]\n", "s", "").ok());
  EXPECT_FALSE(LoadText("[[api.authentication_strategies]]\nkind = \"Jwt\"\n", "s", "").ok());
}

TEST(ConfigText, ExpandsTheHomeInEveryPath) {
  const auto loaded = LoadText(
      "storage_dir = \"~/s\"\n[core]\nlisten = \"unix:~/c.sock\"\n[workflows]\ndirs = [\"~/w\", \"/w\", "
      "\"~x\"]\n"
      "[storage]\nurl = \"sqlite:~/f.db\"\n",
      "s", "/home/u");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.storage_dir, "/home/u/s");
  EXPECT_EQ(loaded->config.core.listen, "unix:/home/u/c.sock");
  EXPECT_EQ(loaded->config.gateway.core, "unix:/home/u/s/core.sock");
  EXPECT_EQ(loaded->config.storage_url, "sqlite:/home/u/f.db");
  EXPECT_EQ(loaded->config.workflow_dirs, (StringList{"/home/u/w", "/w", "~x"}));
}

TEST(ConfigText, TakesTheOldNameOfTheStorageDirectoryButNotBeside) {
  EXPECT_EQ(LoadText("data_dir = \"/d\"\n", "s", "")->config.storage_dir, "/d");
  EXPECT_FALSE(LoadText("data_dir = \"/d\"\nstorage_dir = \"/e\"\n", "s", "").ok());
}

TEST(ConfigText, ReadsTables) {
  const auto loaded =
      LoadText("[vars]\na = \"1\"\n[sandbox.env]\nPATH = \"/bin\"\n[llm.fallbacks]\nx = [\"m\"]\n", "s", "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.vars, (StringMap{{"a", "1"}}));
  EXPECT_EQ(loaded->config.sandbox.env, (StringMap{{"PATH", "/bin"}}));
  EXPECT_EQ(loaded->config.llm.fallbacks, (StringListMap{{"x", {"m"}}}));
  EXPECT_FALSE(LoadText("[vars]\na = 1\n", "s", "").ok());
}

TEST(ConfigHooks, AreReadWithWhatTheyDoNotSayAtItsDefault) {
  const auto loaded = LoadText(R"(
[[hooks]]
event = "run_start"
command = "make check"
blocking = true
sandbox = false
timeout_ms = 1500

[[hooks]]
name = "tell"
event = "stage_failed"
url = "https://example.org/hook"
headers = { Authorization = "Bearer $TOKEN" }
allowed_env_vars = ["TOKEN"]
tls = "no_verify"
matcher = "^build"
)",
                               "s", "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->warnings.empty());
  const HookList& hooks = loaded->config.hooks;
  ASSERT_EQ(hooks.size(), 2U);
  Hook command;
  command.event = HookEvent::kRunStart;
  command.command = "make check";
  command.blocking = true;
  command.sandbox = false;
  command.timeout = std::chrono::milliseconds(1500);
  EXPECT_EQ(hooks[0], command);
  Hook http;
  http.name = "tell";
  http.event = HookEvent::kStageFailed;
  http.kind = Hook::Kind::kHttp;
  http.url = "https://example.org/hook";
  http.headers = {{"Authorization", "Bearer $TOKEN"}};
  http.allowed_env_vars = {"TOKEN"};
  http.verify_tls = false;
  http.matcher = "^build";
  EXPECT_EQ(hooks[1], http);
}

// What is said of a file with one hook of these lines, the first of which is line 2.
std::string SaidOfHook(const std::string& lines) {
  return MessageOf(LoadText("[[hooks]]\n" + lines, "s", "").status());
}

TEST(ConfigHooks, AreRefusedWithTheirPlaceAndWhatWouldBeRight) {
  EXPECT_EQ(SaidOfHook("command = \"x\"\n"),
            "s:1:1: hooks[0].event: is missing; it must be \"run_start\", \"run_complete\", \"run_failed\", "
            "\"stage_start\", \"stage_complete\" or \"stage_failed\"");
  EXPECT_EQ(SaidOfHook("event = \"run_start\"\n"), "s:1:1: hooks[0]: needs a command or a url");
  EXPECT_TRUE(
      SaidOfHook("event = \"begin\"\ncommand = \"x\"\n").starts_with("s:2:9: hooks[0].event: must be "));
  EXPECT_TRUE(SaidOfHook("event = \"run_start\"\ncommand = \"x\"\nmatcher = \"(\"\n")
                  .starts_with("s:1:1: hooks[0].matcher: is no regular expression: "));
  EXPECT_EQ(SaidOfHook("event = \"run_start\"\ncommand = \"x\"\ntimeout_ms = 0\n"),
            "s:4:14: hooks[0].timeout_ms: must be a whole number from 1 to 86400000, not 0");
  EXPECT_EQ(SaidOfHook("event = \"run_start\"\nurl = \"ftp://x\"\n"),
            "s:1:1: hooks[0].url: must start with http:// or https://");
  EXPECT_EQ(SaidOfHook("event = \"run_start\"\nurl = \"http://x\"\ncommand = \"x\"\ntype = \"http\"\n"),
            "s:1:1: hooks[0].command: does not go with a url");
  EXPECT_EQ(SaidOfHook("event = \"run_start\"\nprompt = \"Is it good?\"\n"),
            "s:1:1: hooks[0].type: hooks of type prompt need a model, and this version calls none; use "
            "\"command\" or "
            "\"http\"");
  EXPECT_TRUE(
      MessageOf(LoadText("hooks = [1]\n", "s", "").status()).starts_with("s:1:10: hooks: must be a list of"));
  EXPECT_FALSE(LoadText("hooks = 1\n", "s", "").ok());
  EXPECT_TRUE(LoadText("hooks = []\n\"hooks[\" = 1\n", "s", "").ok());
}

TEST(ConfigHooks, NameTheNearestOfAFieldThatIsUnknown) {
  const auto loaded =
      LoadText("[[hooks]]\nevent = \"run_start\"\ncommand = \"x\"\nbloking = true\n", "s", "");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(Has(loaded->warnings, "s:4:11: hooks[0].bloking: no such setting; did you mean blocking?"));
}

TEST(ConfigHooks, DoNotShowAHeader) {
  const std::string said = SaidOfHook("event = \"run_start\"\nurl = \"http://x\"\nheaders = \"hunter22\"\n");
  EXPECT_EQ(said, "s:4:11: hooks[0].headers: must be a table of texts");
}

TEST(ConfigText, DoesNotShowWhatMayBeASecret) {
  const auto loaded = LoadText("vars = \"hunter22\"\n", "s", "");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(MessageOf(loaded.status()).find("hunter22"), std::string::npos);
}

}  // namespace
}  // namespace fabro::config
