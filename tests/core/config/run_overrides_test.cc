#include "core/config/run_overrides.h"

#include <gtest/gtest.h>

namespace fabro::config {
namespace {

Hook CommandHook(const std::string& name) {
  Hook hook;
  hook.name = name;
  hook.command = "true";
  return hook;
}

TEST(RunSettingsOfServer, AreItsDefaults) {
  ServerConfig config;
  EXPECT_EQ(RunSettingsOf(config), RunSettings());
  config.setup_commands = {"npm ci"};
  config.setup_timeout_ms = 5;
  config.hooks = {CommandHook("a")};
  config.sandbox.env = {{"CI", "1"}};
  config.sandbox.bubblewrap_memory_mb = 2;
  config.sandbox.docker_cpu_seconds = 3;
  config.llm.model = "m";
  const RunSettings settings = RunSettingsOf(config);
  EXPECT_EQ(settings.setup_commands, (std::vector<std::string>{"npm ci"}));
  EXPECT_EQ(settings.setup_timeout, std::chrono::milliseconds(5));
  EXPECT_EQ(settings.hooks, (std::vector<Hook>{CommandHook("a")}));
  EXPECT_EQ(settings.sandbox.env, (StringMap{{"CI", "1"}}));
  EXPECT_EQ(settings.sandbox.bubblewrap.memory_bytes, 2 << 20);
  EXPECT_EQ(settings.sandbox.docker.cpu_seconds, 3);
  EXPECT_EQ(settings.llm_model, "m");
}

TEST(Overlay, LeavesWhatIsNotSaid) {
  RunSettings settings;
  settings.work_dir = "/w";
  settings.setup_commands = {"a"};
  settings.sandbox.provider = SandboxProvider::kDocker;
  EXPECT_EQ(Overlay(settings, RunOverrides()), settings);
}

TEST(Overlay, TakesEachFieldThatIsSaid) {
  RunOverrides over;
  over.work_dir = "/over";
  over.sandbox_provider = SandboxProvider::kBubblewrap;
  over.bubblewrap = {true, 1, 2, 3};
  over.docker.memory_bytes = 4;
  over.docker_image = "debian";
  over.worktree_mode = WorktreeMode::kNever;
  over.preserve_sandbox = true;
  over.setup_commands.emplace();  // none, and it says so
  over.setup_timeout = std::chrono::milliseconds(7);
  over.checkpoint_exclude_globs = {"*.o"};
  over.assets_include = {"*.png"};
  over.llm_provider = "p";
  over.llm_model = "m";

  RunSettings want;
  want.work_dir = "/over";
  want.sandbox.provider = SandboxProvider::kBubblewrap;
  want.sandbox.bubblewrap = {true, 1, 2, 3};
  want.sandbox.docker.memory_bytes = 4;
  want.sandbox.docker_image = "debian";
  want.sandbox.worktree_mode = WorktreeMode::kNever;
  want.sandbox.preserve = true;
  want.setup_timeout = std::chrono::milliseconds(7);
  want.checkpoint_exclude_globs = {"*.o"};
  want.assets_include = {"*.png"};
  want.llm_provider = "p";
  want.llm_model = "m";
  RunSettings before;
  before.setup_commands = {"a"};
  EXPECT_EQ(Overlay(before, over), want);
}

TEST(Overlay, PutsMapsTogetherByKeyAndHooksInARow) {
  RunSettings before;
  before.sandbox.env = {{"A", "1"}, {"B", "1"}};
  before.llm_fallbacks = {{"x", {"y"}}};
  before.hooks = {CommandHook("first")};
  RunOverrides over;
  over.sandbox_env = {{"B", "2"}, {"C", "2"}};
  over.llm_fallbacks = {{"x", {"z"}}};
  over.hooks = {CommandHook("second")};
  const RunSettings after = Overlay(before, over);
  EXPECT_EQ(after.sandbox.env, (StringMap{{"A", "1"}, {"B", "2"}, {"C", "2"}}));
  EXPECT_EQ(after.llm_fallbacks, (StringListMap{{"x", {"z"}}}));
  EXPECT_EQ(after.hooks, (std::vector<Hook>{CommandHook("first"), CommandHook("second")}));
}

}  // namespace
}  // namespace fabro::config
