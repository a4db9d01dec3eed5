#include "core/config/run_config.h"

#include <gtest/gtest.h>

namespace fabro::config {
namespace {

TEST(RunConfig, ReadsEverySection) {
  const RunConfigReading reading = ReadRunConfig(R"(
version = 1
goal = "g"
graph = "x.fabro"
title = "t"
description = "d"
priority = -3
work_dir = "/w"
labels = { a = "b" }
[vars]
v = "1"
[llm]
provider = "p"
model = "m"
fallbacks = {}
[sandbox]
provider = "docker"
preserve = true
env = { E = "1" }
local = { worktree_mode = "never" }
bubblewrap = { network = "allow", memory_mb = 1, max_processes = 2, cpu_seconds = 3 }
docker = { image = "debian", network = "none", memory_mb = 4, max_processes = 5, cpu_seconds = 6 }
[setup]
commands = ["c"]
timeout_ms = 9
[checkpoint]
exclude_globs = ["*.o"]
[assets]
include = ["*.png"]
[[hooks]]
event = "run_start"
command = "h"
)",
                                                 "w.toml");
  EXPECT_TRUE(reading.errors.empty()) << reading.errors[0];
  EXPECT_TRUE(reading.warnings.empty()) << reading.warnings[0];
  const RunConfig& config = reading.config;
  EXPECT_EQ(config.goal, "g");
  EXPECT_EQ(config.graph, "x.fabro");
  EXPECT_EQ(config.title, "t");
  EXPECT_EQ(config.description, "d");
  EXPECT_EQ(config.priority, -3);
  EXPECT_EQ(config.labels, (StringMap{{"a", "b"}}));
  EXPECT_EQ(config.vars, (StringMap{{"v", "1"}}));
  RunOverrides want;
  want.work_dir = "/w";
  want.llm_provider = "p";
  want.llm_model = "m";
  want.sandbox_provider = SandboxProvider::kDocker;
  want.preserve_sandbox = true;
  want.sandbox_env = {{"E", "1"}};
  want.worktree_mode = WorktreeMode::kNever;
  want.bubblewrap = {true, 1 << 20, 2, 3};
  want.docker = {false, 4 << 20, 5, 6};
  want.docker_image = "debian";
  want.setup_commands = {"c"};
  want.setup_timeout = std::chrono::milliseconds(9);
  want.checkpoint_exclude_globs = {"*.o"};
  want.assets_include = {"*.png"};
  want.hooks.emplace_back().command = "h";
  EXPECT_EQ(config.settings, want);
}

TEST(RunConfig, TellsOfEveryMistakeWithItsPlaceAndKeepsWhatIsRight) {
  const RunConfigReading reading = ReadRunConfig(
      "version = 2\ngoal = \"g\"\nlabels = 1\nllm = 3\nlable = 1\n[vars]\n\"1x\" = "
      "\"hunter22\"\n[schedule]\ncron = \"x\"\n",
      "w.toml");
  EXPECT_EQ(reading.errors,
            (std::vector<std::string>{
                "w.toml:3:10: labels: must be a table of at most 64 texts, not 1",
                "w.toml:4:7: llm: must be a table, not 3",
                "w.toml:6:1: vars: must be a table of at most 256 texts, named by letters, digits and _",
                "w.toml:1:11: version: must be 1, not 2",
            }));
  EXPECT_EQ(reading.warnings,
            (std::vector<std::string>{
                "w.toml:5:9: lable: no such setting; did you mean labels?",
                "w.toml:9:8: schedule.cron has no effect: this version starts no workflow by itself"}));
  EXPECT_EQ(reading.config.goal, "g");
}

TEST(RunConfig, IsOneErrorWhenItIsNoToml) {
  const RunConfigReading reading = ReadRunConfig("goal = \n", "w.toml");
  ASSERT_EQ(reading.errors.size(), 1U);
  EXPECT_EQ(reading.errors[0].find("w.toml:1:"), 0U) << reading.errors[0];
  EXPECT_TRUE(ReadRunConfig("", "w.toml").errors.empty());
}

}  // namespace
}  // namespace fabro::config
