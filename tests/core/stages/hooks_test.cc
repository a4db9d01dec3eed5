#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/base/random.h"
#include "core/base/strings.h"
#include "core/stages/hooked_stages.h"
#include "core/stages/preparer.h"
#include "tests/support/run_task.h"
#include "tests/support/scripted_server.h"
#include "tests/support/temp_directory.h"

namespace fabro::stages {
namespace {

using config::Hook;
using config::HookEvent;
using engine::FailureClass;
using engine::Outcome;
using engine::OutcomeStatus;
using std::chrono::milliseconds;
using testing::RunTask;
using tests::JsonAnswer;
using tests::ScriptedRequest;
using tests::ScriptedServer;

Hook CommandHook(HookEvent event, std::string command) {
  Hook hook;
  hook.name = "check";
  hook.event = event;
  hook.command = std::move(command);
  hook.blocking = true;
  return hook;
}

Hook HttpHook(HookEvent event, std::string url) {
  Hook hook;
  hook.name = "tell";
  hook.event = event;
  hook.kind = Hook::Kind::kHttp;
  hook.url = std::move(url);
  hook.blocking = true;
  return hook;
}

// Ends each stage as it is told.
class OneOutcome final : public StageRunner {
 public:
  Task<Outcome> Run(StageRequest, StageOutputSink*) override {
    ++ran;
    co_return outcome;
  }
  Outcome outcome;
  int ran = 0;
};

class NoSteps final : public PreparationSink {
 public:
  Task<void> Tell(engine::PreparationStep) override { co_return; }
};

class HooksTest : public ::testing::Test {
 protected:
  static sandbox::SandboxesOptions Options() {
    sandbox::SandboxesOptions options;
    options.host.stage_helper = std::filesystem::absolute(FABRO_STAGE_PROGRAM).string();
    options.host.grace = milliseconds(200);
    return options;
  }
  static std::optional<std::string> Variable(const std::string& name) {
    return name == "DEPLOY_TOKEN" ? std::optional<std::string>("correct-horse-battery") : std::nullopt;
  }

  HooksTest() {
    node_.id = "build";
    node_.label = "Build it";
    node_.kind = workflow::NodeKind::kCommand;
  }
  ~HooksTest() override { hooks_.Stop(); }

  StageRequest Request() {
    StageRequest request;
    request.run = run_;
    request.workflow_name = "ship";
    request.goal = "all green";
    request.node = &node_;
    request.stage_id = "build-2";
    request.attempt = 3;
    request.work_dir = work_dir_;
    request.traceparent = "00-11111111111111111111111111111111-2222222222222222-01";
    request.settings = std::make_shared<const config::RunSettings>(settings_);
    return request;
  }
  Outcome RunStage() { return RunTask(runtime_.executor(), stages_.Run(Request(), nullptr)); }

  RunContext Context() {
    RunContext context;
    context.run = run_;
    context.workflow_name = "ship";
    context.work_dir = work_dir_;
    context.settings = std::make_shared<const config::RunSettings>(settings_);
    return context;
  }
  void CleanUp(engine::RunEnd end) {
    auto clean_up = [](Preparer* p, RunContext context, engine::RunEnd how) -> Task<absl::Status> {
      engine::Prepared prepared;
      prepared.work_dir = context.work_dir;
      co_await p->CleanUp(std::move(context), std::move(prepared), std::move(how));
      co_return absl::OkStatus();
    };
    EXPECT_TRUE(RunTask(runtime_.executor(), clean_up(&preparer_, Context(), std::move(end))).ok());
  }

  bool Exists(const std::string& name) const { return std::filesystem::exists(work_dir_ + "/" + name); }
  std::string Read(const std::string& name) const {
    std::ifstream file(work_dir_ + "/" + name);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }
  void AwaitFile(const std::string& name) const {
    while (!Exists(name)) std::this_thread::yield();
  }

  testing::TempDirectory folder_;
  std::string work_dir_ = (folder_.path() / "work").string();
  Runtime runtime_{2};
  BlockingPool pool_{"files", 1, 64};
  sandbox::Sandboxes sandboxes_{pool_, Options()};
  net::HttpClient http_;
  events::Redactor redactor_{{{"DEPLOY_TOKEN", "correct-horse-battery"}}};
  HookCaller caller_{sandboxes_, http_, pool_, redactor_, &HooksTest::Variable};
  Hooks hooks_{runtime_.executor(), caller_};
  OneOutcome work_;
  HookedStages stages_{work_, hooks_};
  NoWorktrees worktrees_;
  Preparer preparer_{sandboxes_, worktrees_, hooks_, pool_, redactor_};
  NoSteps steps_;
  RunId run_ = RunIdSource(SystemRandom()).Next(Timestamp{});
  workflow::Node node_;
  config::RunSettings settings_;
};

TEST_F(HooksTest, ACommandHookIsToldOfTheStage) {
  settings_.hooks = {
      CommandHook(HookEvent::kStageStart,
                  "cat > told; echo $FABRO_HOOK_EVENT $FABRO_RUN_ID $FABRO_WORKFLOW $FABRO_NODE_ID "
                  "$FABRO_STAGE_ID $FABRO_ATTEMPT > env"),
      CommandHook(HookEvent::kStageStart, "cat \"$FABRO_HOOK_CONTEXT\" > again")};
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
  EXPECT_EQ(work_.ran, 1);
  const std::string document = StrCat(
      R"({"attempt":3,"event":"stage_start","goal":"all green","handler_type":"command","node_id":"build",)",
      R"("node_label":"Build it","run_id":")", run_.ToString(), R"(","stage_id":"build-2",)",
      R"("traceparent":"00-11111111111111111111111111111111-2222222222222222-01","work_dir":")", work_dir_,
      R"(","workflow_name":"ship"})");
  EXPECT_EQ(Read("told"), document);
  EXPECT_EQ(Read("again"), document);
  EXPECT_EQ(Read("env"), StrCat("stage_start ", run_.ToString(), " ship build build-2 3\n"));
}

TEST_F(HooksTest, AVetoFailsTheStageBeforeItBegins) {
  settings_.hooks = {CommandHook(HookEvent::kStageStart, "echo 'not on a correct-horse-battery' >&2; exit 1"),
                     CommandHook(HookEvent::kStageStart, "touch later"),
                     CommandHook(HookEvent::kStageFailed, "cat > told")};
  const Outcome outcome = RunStage();
  EXPECT_EQ(work_.ran, 0);
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->message,
            "hook \"check\" (stage_start): it failed with exit code 1: not on a REDACTED");
  EXPECT_EQ(outcome.failure->failure_class, FailureClass::kDeterministic);
  EXPECT_FALSE(Exists("later"));
  EXPECT_NE(Read("told").find("\"failure_class\":\"deterministic\""), std::string::npos) << Read("told");
}

TEST_F(HooksTest, AHookSpeaksByTheLastLineItWrites) {
  struct Case {
    std::string script;
    OutcomeStatus status;
    std::string reason;  // of the failure or, of a skipped one, the notes
  };
  const Case cases[] = {
      {R"(echo looking; echo '{"decision":"block","reason":"frozen"}')", OutcomeStatus::kFail,
       "hook \"check\" (stage_start): frozen"},
      {R"(echo '{"decision":"skip","reason":"not today"}')", OutcomeStatus::kSkipped,
       "Skipped by hook \"check\" (stage_start): not today"},
      {R"(echo '{"decision":"skip"}'; exit 2)", OutcomeStatus::kSkipped,
       "Skipped by hook \"check\" (stage_start): it failed with exit code 2"},
      {R"(echo '{"decision":"continue"}')", OutcomeStatus::kSuccess, ""},
      {R"(echo '{"decision":"proceed"}')", OutcomeStatus::kSuccess, ""},
      {R"(echo '{"decision":"continue"}'; exit 3)", OutcomeStatus::kFail,
       "hook \"check\" (stage_start): it failed with exit code 3"},
      {R"(echo '{"decision":"maybe"}')", OutcomeStatus::kFail,
       "hook \"check\" (stage_start): its decision is none of continue, skip and block"},
      {R"(echo '{"note":"nothing of interest"}')", OutcomeStatus::kSuccess, ""},
      {R"(echo '{"decision":')", OutcomeStatus::kSuccess, ""},
      {"exit 4", OutcomeStatus::kFail, "hook \"check\" (stage_start): it failed with exit code 4"},
  };
  for (const Case& c : cases) {
    settings_.hooks = {CommandHook(HookEvent::kStageStart, c.script)};
    const Outcome outcome = RunStage();
    EXPECT_EQ(outcome.status, c.status) << c.script;
    const std::string said = outcome.failure ? outcome.failure->message : outcome.notes;
    EXPECT_EQ(said, c.reason) << c.script;
  }
}

TEST_F(HooksTest, AHookMayTurnASuccessIntoAFailure) {
  settings_.hooks = {CommandHook(HookEvent::kStageComplete, "grep -q '\"status\":\"success\"' && exit 1"),
                     CommandHook(HookEvent::kStageFailed, "touch failed")};
  work_.outcome.context_updates["n"] = "1";
  work_.outcome.preferred_label = "ship";
  const Outcome outcome = RunStage();
  EXPECT_EQ(work_.ran, 1);
  EXPECT_EQ(outcome.status, OutcomeStatus::kFail);
  EXPECT_EQ(outcome.failure->message, "hook \"check\" (stage_complete): it failed with exit code 1");
  EXPECT_EQ(outcome.context_updates.at("n"), "1");
  EXPECT_EQ(outcome.preferred_label, "");
  EXPECT_TRUE(Exists("failed"));
}

TEST_F(HooksTest, AFailureStaysWhatItIs) {
  settings_.hooks = {CommandHook(HookEvent::kStageComplete, "touch complete"),
                     CommandHook(HookEvent::kStageFailed, "touch failed; exit 1")};
  work_.outcome.status = OutcomeStatus::kFail;
  work_.outcome.failure = engine::Failure{"two tests failed", FailureClass::kDeterministic};
  EXPECT_EQ(RunStage().failure->message, "two tests failed");
  EXPECT_TRUE(Exists("failed"));
  EXPECT_FALSE(Exists("complete"));
}

TEST_F(HooksTest, AMatcherLooksAtTheNodesIdAndKind) {
  for (const auto& [matcher, fires] : {std::pair("^bui", true), std::pair("^command$", true),
                                       std::pair("deploy|test", false), std::pair("^uild", false)}) {
    std::filesystem::remove(work_dir_ + "/fired");
    settings_.hooks = {CommandHook(HookEvent::kStageStart, "touch fired")};
    settings_.hooks[0].matcher = matcher;
    EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
    EXPECT_EQ(Exists("fired"), fires) << matcher;
  }
}

TEST_F(HooksTest, AHookHasItsTimeLimit) {
  settings_.hooks = {CommandHook(HookEvent::kStageStart, "sleep 1000")};
  settings_.hooks[0].timeout = milliseconds(100);
  EXPECT_EQ(RunStage().failure->message,
            "hook \"check\" (stage_start): it was stopped after its time limit of 100 ms (timeout_ms)");
}

TEST_F(HooksTest, CancellingTheStageStopsItsHook) {
  settings_.hooks = {CommandHook(HookEvent::kStageStart, "touch up; sleep 1000")};
  TaskScope scope(runtime_.executor());
  std::optional<Outcome> outcome;
  scope.Spawn("stage", testing::KeepResult(stages_.Run(Request(), nullptr), &outcome));
  AwaitFile("up");
  scope.Cancel();
  scope.JoinBlocking();
  EXPECT_EQ(outcome->failure->failure_class, FailureClass::kCanceled);
  EXPECT_EQ(work_.ran, 0);
}

TEST_F(HooksTest, AnHttpHookGetsTheDocumentAndMayAnswer) {
  std::string answer = "{\"decision\":\"block\",\"reason\":\"frozen until Monday\"}";
  ScriptedServer server([&](const ScriptedRequest&) { return JsonAnswer(200, answer); });
  settings_.hooks = {HttpHook(HookEvent::kStageStart, server.url() + "/hooks/fabro")};
  settings_.hooks[0].headers = {{"Authorization", "Bearer ${DEPLOY_TOKEN}"},
                                {"X-Price", "$5 $$DEPLOY_TOKEN"}};
  settings_.hooks[0].allowed_env_vars = {"DEPLOY_TOKEN"};
  EXPECT_EQ(RunStage().failure->message, "hook \"tell\" (stage_start): frozen until Monday");
  const ScriptedRequest seen = server.requests().at(0);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/hooks/fabro");
  EXPECT_TRUE(seen.HeadHas("Authorization: Bearer correct-horse-battery\r\n")) << seen.head;
  EXPECT_TRUE(seen.HeadHas("X-Price: $5 $DEPLOY_TOKEN\r\n")) << seen.head;
  EXPECT_TRUE(seen.HeadHas("Content-Type: application/json\r\n")) << seen.head;
  EXPECT_NE(seen.body.find("\"event\":\"stage_start\""), std::string::npos) << seen.body;
  answer = "thanks";
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
}

TEST_F(HooksTest, AnHttpHookThatDoesNotSayYesIsAVeto) {
  ScriptedServer server([&](const ScriptedRequest& request) -> std::string {
    if (request.target == "/redirect") {
      return "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    }
    if (request.target == "/large") return JsonAnswer(200, std::string(HookCaller::kMaxAnswerBytes + 1, ' '));
    return JsonAnswer(503, "{\"decision\":\"continue\"}");
  });
  for (const char* path : {"/redirect", "/large", "/busy"}) {
    settings_.hooks = {HttpHook(HookEvent::kStageStart, server.url() + path)};
    EXPECT_EQ(RunStage().status, OutcomeStatus::kFail) << path;
  }
  EXPECT_EQ(server.requests().size(), 3U);
  EXPECT_EQ(work_.ran, 0);
}

TEST_F(HooksTest, AHeaderTakesNothingFromTheEnvironmentThatIsNotAllowed) {
  ScriptedServer server([&](const ScriptedRequest&) { return JsonAnswer(200, ""); });
  settings_.hooks = {HttpHook(HookEvent::kStageStart, server.url())};
  settings_.hooks[0].headers = {{"X-Token", "$DEPLOY_TOKEN"}};
  EXPECT_EQ(
      RunStage().failure->message,
      "hook \"tell\" (stage_start): its header X-Token names the variable DEPLOY_TOKEN, which is not in its "
      "allowed_env_vars");
  settings_.hooks[0].headers = {{"X-Path", "$PATH"}};
  settings_.hooks[0].allowed_env_vars = {"PATH"};
  EXPECT_EQ(
      RunStage().failure->message,
      "hook \"tell\" (stage_start): its header X-Path names the variable PATH, which is not set, or not in "
      "allowed_env_vars of a hook of the server");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HooksTest, OthersGoOnBesideAndAreWaitedForAtTheEnd) {
  settings_.hooks = {
      CommandHook(HookEvent::kStageStart, "touch up; while [ ! -e go ]; do sleep 0.01; done; touch done"),
      CommandHook(HookEvent::kRunComplete, "touch complete")};
  for (Hook& hook : settings_.hooks) hook.blocking = false;
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
  AwaitFile("up");
  EXPECT_FALSE(Exists("done"));
  std::ofstream(work_dir_ + "/go") << "";
  CleanUp(engine::RunEnd());
  EXPECT_TRUE(Exists("done"));
  EXPECT_TRUE(Exists("complete"));
}

TEST_F(HooksTest, MoreCallsThanGoBesideWaitForTheirTurn) {
  settings_.hooks.assign(20, CommandHook(HookEvent::kStageStart, "echo x >> marks"));
  for (Hook& hook : settings_.hooks) hook.blocking = false;
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
  CleanUp(engine::RunEnd());
  EXPECT_EQ(Read("marks").size(), 40U);
}

TEST_F(HooksTest, AFailedHookBesideHarmsNothing) {
  settings_.hooks = {HttpHook(HookEvent::kStageStart, "http://127.0.0.1:1/"),
                     CommandHook(HookEvent::kStageComplete, "exit 1")};
  for (Hook& hook : settings_.hooks) hook.blocking = false;
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
  CleanUp(engine::RunEnd());
}

TEST_F(HooksTest, ACancelledRunCallsNoneAndStopsWhatIsBeside) {
  settings_.hooks = {CommandHook(HookEvent::kStageStart, "touch up; sleep 1000"),
                     CommandHook(HookEvent::kRunFailed, "touch failed"),
                     CommandHook(HookEvent::kRunComplete, "touch complete")};
  settings_.hooks[0].blocking = false;
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
  AwaitFile("up");
  CleanUp(engine::RunEnd{engine::RunEnd::How::kCancelled, ""});
  EXPECT_FALSE(Exists("failed"));
  EXPECT_FALSE(Exists("complete"));
}

TEST_F(HooksTest, StoppingTheServerStopsWhatIsBeside) {
  settings_.hooks = {CommandHook(HookEvent::kStageStart, "touch up; sleep 1000")};
  settings_.hooks[0].blocking = false;
  EXPECT_EQ(RunStage().status, OutcomeStatus::kSuccess);
  AwaitFile("up");
  hooks_.Stop();
}

TEST_F(HooksTest, TheRunIsVetoedWithTheHooksWordsAfterItsSetUp) {
  settings_.setup_commands = {"touch set-up"};
  settings_.hooks = {CommandHook(HookEvent::kRunStart,
                                 "test -e set-up && echo '{\"decision\":\"block\",\"reason\":\"no\"}'")};
  EXPECT_TRUE(preparer_.IsNeeded(Context()));
  const engine::Prepared prepared = RunTask(runtime_.executor(), preparer_.Prepare(Context(), &steps_));
  EXPECT_EQ(prepared.failure, "hook \"check\" (run_start): no");
}

TEST_F(HooksTest, TheEndOfARunIsToldAsItWas) {
  settings_.hooks = {CommandHook(HookEvent::kRunFailed, "cat > failed; exit 1"),
                     CommandHook(HookEvent::kRunComplete, "cat > complete")};
  CleanUp(engine::RunEnd{engine::RunEnd::How::kFailed, "no tests"});
  EXPECT_FALSE(Exists("complete"));
  EXPECT_NE(Read("failed").find("\"failure_reason\":\"no tests\""), std::string::npos) << Read("failed");
  EXPECT_NE(Read("failed").find("\"status\":\"failed\""), std::string::npos) << Read("failed");
  CleanUp(engine::RunEnd());
  EXPECT_NE(Read("complete").find("\"event\":\"run_complete\""), std::string::npos) << Read("complete");
}

}  // namespace
}  // namespace fabro::stages
