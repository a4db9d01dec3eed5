#include "core/runtime/run_settings.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "fabro/v1/settings.pb.h"

namespace fabro::runtime {
namespace {

// One with every field other than its default.
config::RunSettings Full() {
  config::RunSettings settings;
  settings.graph = "a.fabro";
  settings.work_dir = "/tmp";
  settings.sandbox.provider = config::SandboxProvider::kDocker;
  settings.sandbox.env = {{"TOKEN", "hunter22"}};
  settings.sandbox.bubblewrap = {true, 1 << 20, 7, 9};
  settings.sandbox.docker = {true, 2 << 20, 8, 9};
  settings.sandbox.docker_image = "debian:12";
  settings.sandbox.worktree_mode = config::WorktreeMode::kDirty;
  settings.sandbox.preserve = true;
  settings.setup_commands = {"make", "make install"};
  settings.setup_timeout = std::chrono::milliseconds(1234);
  config::Hook command;
  command.name = "n";
  command.event = config::HookEvent::kStageComplete;
  command.command = "lint";
  command.matcher = "a|b";
  command.blocking = true;
  command.sandbox = false;
  command.timeout = std::chrono::milliseconds(99);
  config::Hook http;
  http.event = config::HookEvent::kRunFailed;
  http.kind = config::Hook::Kind::kHttp;
  http.url = "http://127.0.0.1:1/x";
  http.headers = {{"Authorization", "hunter22"}};
  http.allowed_env_vars = {"HOME"};
  http.verify_tls = false;
  settings.hooks = {command, http};
  settings.checkpoint_exclude_globs = {"*.o"};
  settings.assets_include = {"*.png"};
  settings.llm_provider = "p";
  settings.llm_model = "m";
  settings.llm_fallbacks = {{"p", {"q", "r"}}};
  settings.hidden_vars = {"password"};
  return settings;
}

std::string Said(const v1::StartRunSettings& settings) { return MessageOf(OverridesOf(settings).status()); }

TEST(RunSettingsJson, GivesBackWhatWasStored) {
  for (const config::RunSettings& settings : {config::RunSettings(), Full()}) {
    const auto json = SettingsToJson(settings);
    ASSERT_TRUE(json.ok()) << json.status();
    const auto again = SettingsFromJson(*json);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, settings) << *json;
  }
}

TEST(RunSettingsJson, ReadsWhatEarlierVersionsStored) {
  const auto settings = SettingsFromJson(R"({"work_dir": "/w", "of_a_later_version": 1})");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->work_dir, "/w");
  EXPECT_EQ(*SettingsFromJson(""), config::RunSettings());
  EXPECT_EQ(*SettingsFromJson("{}"), config::RunSettings());
}

TEST(RunSettingsJson, IsDataLossWhenItCannotBeRead) {
  EXPECT_TRUE(absl::IsDataLoss(SettingsFromJson("[").status()));
  EXPECT_TRUE(
      absl::IsDataLoss(SettingsFromJson(R"({"hooks": [{"event": "HOOK_EVENT_RUN_START"}]})").status()));
}

TEST(RunSettingsShown, HaveNoSecrets) {
  v1::RunSettings shown;
  Put(Full(), &shown);
  MaskSecrets(&shown);
  EXPECT_EQ(shown.sandbox().env().at("TOKEN"), "REDACTED");
  EXPECT_EQ(shown.ShortDebugString().find("hunter22"), std::string::npos);
}

TEST(RunSettingsAsked, AreWhatTheRequestSaysAndNothingElse) {
  v1::StartRunSettings settings;
  EXPECT_EQ(*OverridesOf(settings), config::RunOverrides());
  settings.mutable_setup()->add_commands("make");
  settings.mutable_sandbox()->mutable_docker()->set_memory_bytes(1 << 20);
  v1::HookDefinition* hook = settings.add_hooks();
  hook->set_event(v1::HOOK_EVENT_RUN_START);
  hook->set_url("http://localhost/");
  config::RunOverrides want;
  want.setup_commands = {"make"};
  want.docker.memory_bytes = 1 << 20;
  want.hooks.emplace_back();
  want.hooks[0].kind = config::Hook::Kind::kHttp;
  want.hooks[0].url = "http://localhost/";
  const auto over = OverridesOf(settings);
  ASSERT_TRUE(over.ok()) << over.status();
  EXPECT_EQ(*over, want);
}

TEST(RunSettingsAsked, NameTheFieldThatIsWrong) {
  v1::StartRunSettings settings;
  for (int i = 0; i < 3; ++i) {
    settings.add_hooks()->set_event(v1::HOOK_EVENT_RUN_START);
    settings.mutable_hooks(i)->set_command("true");
  }
  EXPECT_TRUE(OverridesOf(settings).ok());
  settings.mutable_hooks(2)->set_matcher("(");
  EXPECT_EQ(Said(settings).find("settings.hooks[2].matcher is no regular expression"), 0U) << Said(settings);
  const auto detail = DetailOf(OverridesOf(settings).status());
  ASSERT_TRUE(detail && detail->fields.size() == 1);
  EXPECT_EQ(detail->fields[0].field, "settings.hooks[2].matcher");
}

TEST(RunSettingsAsked, AreRefusedWhereThisVersionWouldLeaveThemOut) {
  v1::StartRunSettings prompt;
  prompt.add_hooks()->set_event(v1::HOOK_EVENT_RUN_START);
  prompt.mutable_hooks(0)->set_type(v1::HOOK_TYPE_PROMPT);
  EXPECT_EQ(Said(prompt).find("settings.hooks[0].type "), 0U);
  v1::StartRunSettings event;
  event.add_hooks()->set_event(v1::HOOK_EVENT_PRE_TOOL_USE);
  EXPECT_EQ(Said(event).find("settings.hooks[0].event "), 0U);
  v1::StartRunSettings daytona;
  daytona.mutable_sandbox()->mutable_daytona();
  EXPECT_EQ(Said(daytona).find("settings.sandbox.daytona "), 0U);
  v1::StartRunSettings provider;
  provider.mutable_sandbox()->set_provider("lunar");
  EXPECT_EQ(Said(provider).find("settings.sandbox.provider "), 0U);
  v1::StartRunSettings env;
  (*env.mutable_sandbox()->mutable_env())["A=B"] = "x";
  EXPECT_EQ(Said(env).find("settings.sandbox.env.A=B "), 0U);
}

TEST(RunSettingsChecked, WantAnImageForContainers) {
  config::RunSettings settings;
  settings.sandbox.provider = config::SandboxProvider::kDocker;
  EXPECT_EQ(MessageOf(CheckExecutable(settings)),
            "settings.sandbox.docker.image must name the image that commands run in");
  settings.sandbox.docker_image = "debian:12";
  EXPECT_TRUE(CheckExecutable(settings).ok());
  settings.sandbox.provider = config::SandboxProvider::kBubblewrap;
  EXPECT_TRUE(CheckExecutable(settings).ok());
}

TEST(RunSettingsAllowed, AreAllWithoutAPolicyAndThoseOfTheListWithOne) {
  using config::SandboxProvider;
  config::ServerConfig server;
  config::RunSettings settings;
  for (const auto provider :
       {SandboxProvider::kLocal, SandboxProvider::kBubblewrap, SandboxProvider::kDocker}) {
    settings.sandbox.provider = provider;
    server.sandbox.allowed_providers.reset();
    EXPECT_TRUE(CheckAllowed(settings, server).ok());
    server.sandbox.allowed_providers = {"bubblewrap"};
    EXPECT_EQ(CheckAllowed(settings, server).ok(), provider == SandboxProvider::kBubblewrap);
  }
  EXPECT_EQ(MessageOf(CheckAllowed(settings, server)),
            "settings.sandbox.provider must be one of those in sandbox.allowed_providers of this server, and "
            "docker "
            "is not");
}

TEST(RunSettingsAllowed, HaveHooksOnTheHostOnlyFromTheServerWhenLocalIsNot) {
  config::Hook hook;
  hook.command = "true";
  hook.sandbox = false;
  config::ServerConfig server;
  config::RunSettings settings;
  settings.sandbox.provider = config::SandboxProvider::kBubblewrap;
  settings.hooks = {hook};
  EXPECT_TRUE(CheckAllowed(settings, server).ok());
  server.sandbox.allowed_providers = {"bubblewrap"};
  EXPECT_EQ(MessageOf(CheckAllowed(settings, server)).find("settings.hooks[0].sandbox "), 0U);
  server.hooks = {hook};
  EXPECT_TRUE(CheckAllowed(settings, server).ok());
  settings.hooks.push_back(hook);
  settings.hooks[1].command = "false";
  EXPECT_EQ(MessageOf(CheckAllowed(settings, server)).find("settings.hooks[1].sandbox "), 0U);
  settings.hooks[1].sandbox = true;
  EXPECT_TRUE(CheckAllowed(settings, server).ok());
}

TEST(RunSettingsChecked, WantAFolderThatIsThere) {
  config::RunSettings settings;
  EXPECT_TRUE(CheckExecutable(settings).ok());
  settings.work_dir = "/";
  EXPECT_TRUE(CheckExecutable(settings).ok());
  settings.work_dir = "/no/such/folder";
  EXPECT_EQ(MessageOf(CheckExecutable(settings)),
            "settings.work_dir must be the absolute path of a folder on the server");
}

}  // namespace
}  // namespace fabro::runtime
