// The services as a client sees them, over the channel within the process.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "core/app/core_app.h"
#include "core/async/runtime.h"
#include "core/base/error.h"
#include "fabro/v1/audit.grpc.pb.h"
#include "fabro/v1/discovery.grpc.pb.h"
#include "fabro/v1/internals.grpc.pb.h"
#include "fabro/v1/question.grpc.pb.h"
#include "fabro/v1/run.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/temp_directory.h"

namespace fabro::rpc {
namespace {

constexpr const char* kNobody = "01HZZZZZZZZZZZZZZZZZZZZZZZ";
constexpr const char* kLine = R"(digraph line { goal="go"  start -> build -> exit
  build [shape=parallelogram, script="echo made"] })";
constexpr const char* kGate = R"(digraph gate {
  start -> gate
  gate [shape=hexagon, label="Ship?"]
  gate -> exit [label="[A] Approve"]
  gate -> exit [label="[R] Reject"]
})";

class ServicesTest : public ::testing::Test {
 protected:
  ServicesTest() : ServicesTest("") {}
  explicit ServicesTest(const std::string& toml) : runtime_(2) {
    app::CoreOptions options;
    options.config =
        config::LoadText("storage_dir = \"" + folder_.path().string() + "\"\n" + toml, "test", "/")->config;
    options.listens = false;
    options.stage_helper = std::filesystem::absolute(FABRO_STAGE_PROGRAM).string();
    app_ = *app::CoreApp::Start(runtime_, std::move(options));
    const auto channel = app_->InProcessChannel();
    runs_ = v1::RunService::NewStub(channel);
    people_ = v1::HumanService::NewStub(channel);
    inside_ = v1::RunInternalsService::NewStub(channel);
    audit_ = v1::AuditService::NewStub(channel);
    discovery_ = v1::DiscoveryService::NewStub(channel);
  }

  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!as_.empty()) context.AddMetadata("x-fabro-principal", as_);
    context.AddMetadata("x-request-id", "r1");
    return (stub.*method)(&context, request, response);
  }
  grpc::Status Cancel(const std::string& id) {
    v1::CancelRunRequest request;
    request.set_id(id);
    v1::RunStatusResponse response;
    return Call(*runs_, &v1::RunService::Stub::CancelRun, request, &response);
  }
  grpc::Status Delete(const std::string& id) {
    v1::DeleteRunRequest request;
    request.set_id(id);
    v1::DeleteRunResponse none;
    return Call(*runs_, &v1::RunService::Stub::DeleteRun, request, &none);
  }
  // "principal action resource outcome" of each entry, the newest first.
  std::vector<std::string> Audit(const v1::ListAuditEntriesRequest& request = {}) {
    v1::PaginatedAuditEntryList list;
    const grpc::Status status = Call(*audit_, &v1::AuditService::Stub::ListAuditEntries, request, &list);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> lines;
    for (const v1::AuditEntry& entry : list.data()) {
      lines.push_back(entry.principal() + ' ' + entry.action() + ' ' + entry.resource() + ' ' +
                      entry.outcome());
      EXPECT_GT(entry.timestamp().seconds(), 0);
      EXPECT_EQ(entry.request_id(), "r1");
    }
    return lines;
  }

  v1::RunStatusResponse Begin(const std::string& source, const std::string& key = "") {
    v1::StartRunRequest request;
    request.set_dot_source(source);
    if (!key.empty()) request.set_idempotency_key(key);
    v1::RunStatusResponse response;
    const grpc::Status status = Call(*runs_, &v1::RunService::Stub::StartRun, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // The events after `after` until the stream ends, or until one that `last` says is the last.
  std::vector<v1::Event> Follow(const std::string& id, std::optional<std::uint64_t> after,
                                grpc::Status* status,
                                const std::function<bool(const v1::Event&)>& last = nullptr) {
    v1::StreamRunEventsRequest request;
    request.set_id(id);
    if (after) request.set_after(*after);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!as_.empty()) context.AddMetadata("x-fabro-principal", as_);
    const auto stream = runs_->StreamRunEvents(&context, request);
    std::vector<v1::Event> events;
    v1::Event event;
    while (stream->Read(&event)) {
      events.push_back(event);
      if (last && last(event)) context.TryCancel();
    }
    *status = stream->Finish();
    return events;
  }
  // Until the metrics have the line; a failure of the test after 20 s.
  void AwaitMetric(const std::string& line) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    v1::GetMetricsResponse metrics;
    while (metrics.text().find(line) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << line << " is not in\n" << metrics.text();
      ASSERT_TRUE(
          Call(*discovery_, &v1::DiscoveryService::Stub::GetMetrics, v1::GetMetricsRequest(), &metrics).ok());
    }
  }
  void AwaitEnd(const std::string& id) {
    grpc::Status status;
    Follow(id, 0, &status);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  static std::string ReasonIn(const grpc::Status& status) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    details.ParseFromString(status.error_details());
    if (details.details_size() > 0) details.details(0).UnpackTo(&info);
    return info.reason();
  }

  std::string as_;  // the caller, for Call
  testing::TempDirectory folder_;
  Runtime runtime_;
  std::unique_ptr<app::CoreApp> app_;
  std::unique_ptr<v1::RunService::Stub> runs_;
  std::unique_ptr<v1::HumanService::Stub> people_;
  std::unique_ptr<v1::RunInternalsService::Stub> inside_;
  std::unique_ptr<v1::AuditService::Stub> audit_;
  std::unique_ptr<v1::DiscoveryService::Stub> discovery_;
};

class RolesTest : public ServicesTest {
 protected:
  RolesTest()
      : ServicesTest(R"([access]
viewers = ["vera"]
operators = ["otto", "cn:builder"]
admins = ["anna"])") {}
};

TEST_F(ServicesTest, RunsACommandAndTellsItsEventsInOrder) {
  const auto started = Begin(kLine);
  EXPECT_EQ(started.status(), v1::RUN_STATUS_QUEUED);
  EXPECT_EQ(started.queue_position(), 1);
  grpc::Status status;
  const auto events = Follow(started.id(), 0, &status);
  EXPECT_TRUE(status.ok()) << status.error_message();
  bool spoke = false;
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].id(), i + 1);
    spoke = spoke || events[i].stage_output().text() == "made\n";
  }
  EXPECT_TRUE(spoke);
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(events.back().has_workflow_run_completed());
  const auto rest = Follow(started.id(), events.size() - 2, &status);
  EXPECT_EQ(rest.size(), 2U);
  EXPECT_TRUE(Follow(started.id(), events.size(), &status).empty());
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kStreamClosed));
  EXPECT_TRUE(Follow(started.id(), std::nullopt, &status).empty());
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kStreamClosed));
}

TEST_F(ServicesTest, AnswersAQuestion) {
  const std::string id = Begin(kGate).id();
  grpc::Status status;
  Follow(id, 0, &status, [](const v1::Event& event) { return event.has_interview_started(); });
  v1::ListRunQuestionsRequest list;
  list.set_id(id);
  v1::PaginatedApiQuestionList questions;
  ASSERT_TRUE(Call(*people_, &v1::HumanService::Stub::ListRunQuestions, list, &questions).ok());
  ASSERT_EQ(questions.data_size(), 1);
  EXPECT_EQ(questions.data(0).options(0).key(), "A");
  v1::SubmitAnswerRequest answer;
  answer.set_id(id);
  answer.set_qid(questions.data(0).id());
  answer.set_selected_option_key("Z");
  v1::SubmitRunAnswerResponse none;
  status = Call(*people_, &v1::HumanService::Stub::SubmitRunAnswer, answer, &none);
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kOptionInvalid));
  answer.set_selected_option_key("A");
  EXPECT_TRUE(Call(*people_, &v1::HumanService::Stub::SubmitRunAnswer, answer, &none).ok());
  status = Call(*people_, &v1::HumanService::Stub::SubmitRunAnswer, answer, &none);
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kQuestionGone));
  AwaitEnd(id);
}

TEST_F(ServicesTest, TheSameKeyGivesTheSameRun) {
  const auto first = Begin(kLine, "key");
  const auto second = Begin(kLine, "key");
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  v1::StartRunRequest other;
  other.set_dot_source(kGate);
  other.set_idempotency_key("key");
  v1::RunStatusResponse response;
  const grpc::Status status = Call(*runs_, &v1::RunService::Stub::StartRun, other, &response);
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kIdempotencyReuse));
  AwaitEnd(first.id());
}

TEST_F(ServicesTest, ListsWithFilters) {
  const std::string line = Begin(kLine).id();
  AwaitEnd(line);
  const std::string gate = Begin(kGate).id();
  v1::ListRunsRequest request;
  v1::PaginatedRunList list;
  ASSERT_TRUE(Call(*runs_, &v1::RunService::Stub::ListRuns, request, &list).ok());
  ASSERT_EQ(list.data_size(), 2);
  EXPECT_EQ(list.data(0).id(), gate);
  EXPECT_EQ(list.total_count(), 2U);
  request.set_filter_status(v1::RUN_STATUS_COMPLETED);
  ASSERT_TRUE(Call(*runs_, &v1::RunService::Stub::ListRuns, request, &list).ok());
  ASSERT_EQ(list.data_size(), 1);
  EXPECT_EQ(list.data(0).id(), line);
  request.clear_filter_status();
  request.set_filter_workflow("gate");
  request.set_page_limit(1);
  ASSERT_TRUE(Call(*runs_, &v1::RunService::Stub::ListRuns, request, &list).ok());
  ASSERT_EQ(list.data_size(), 1);
  EXPECT_EQ(list.data(0).id(), gate);
}

TEST_F(ServicesTest, ShowsWhatIsInsideARunAndDeletesIt) {
  const std::string id = Begin(kLine).id();
  AwaitEnd(id);
  v1::RetrieveRunCheckpointRequest checkpoint;
  checkpoint.set_id(id);
  v1::RetrieveRunCheckpointResponse marked;
  EXPECT_TRUE(
      Call(*inside_, &v1::RunInternalsService::Stub::RetrieveRunCheckpoint, checkpoint, &marked).ok());
  v1::RetrieveRunContextRequest context;
  context.set_id(id);
  v1::RetrieveRunContextResponse values;
  ASSERT_TRUE(Call(*inside_, &v1::RunInternalsService::Stub::RetrieveRunContext, context, &values).ok());
  EXPECT_EQ(values.context().fields().at("graph.goal").string_value(), "go");
  v1::ListRunStagesRequest stages;
  stages.set_id(id);
  v1::PaginatedRunStageList listed;
  ASSERT_TRUE(Call(*inside_, &v1::RunInternalsService::Stub::ListRunStages, stages, &listed).ok());
  ASSERT_GE(listed.data_size(), 2);
  EXPECT_EQ(listed.data(1).dot_id(), "build");
  v1::DeleteRunRequest remove;
  remove.set_id(id);
  v1::DeleteRunResponse none;
  EXPECT_TRUE(Call(*runs_, &v1::RunService::Stub::DeleteRun, remove, &none).ok());
  EXPECT_EQ(Call(*runs_, &v1::RunService::Stub::DeleteRun, remove, &none).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServicesTest, NamesTheRunThatIsNotThere) {
  for (const std::string& id : {std::string(kNobody), std::string("no-id")}) {
    v1::CancelRunRequest request;
    request.set_id(id);
    v1::RunStatusResponse response;
    const grpc::Status status = Call(*runs_, &v1::RunService::Stub::CancelRun, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(status.error_message(), "Run " + id + " not found.");
    EXPECT_EQ(ReasonIn(status), ToString(Reason::kRunNotFound));
  }
}

// Readers that go away at any point leave nothing behind: stopping the server would wait for it.
TEST_F(ServicesTest, CancelledStreamsLeaveNothing) {
  const std::string id = Begin(kGate).id();
  for (int i = 0; i < 50; ++i) {
    v1::StreamRunEventsRequest request;
    request.set_id(id);
    request.set_after(0);
    grpc::ClientContext context;
    const auto stream = runs_->StreamRunEvents(&context, request);
    v1::Event event;
    for (int read = 0; read < i % 5; ++read) stream->Read(&event);
    context.TryCancel();
    while (stream->Read(&event)) {
    }
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  const auto begun = std::chrono::steady_clock::now();
  app_->Stop(std::chrono::milliseconds(0));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2));
}

TEST_F(ServicesTest, ADeadlineEndsAStreamThatWaits) {
  const std::string id = Begin(kGate).id();
  v1::StreamRunEventsRequest request;
  request.set_id(id);
  request.set_after(0);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  const auto stream = runs_->StreamRunEvents(&context, request);
  v1::Event event;
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(ServicesTest, AuditsEveryChangeWithItsCaller) {
  as_ = "alice";
  const std::string id = Begin(kGate, "once").id();
  EXPECT_EQ(Begin(kGate, "once").id(), id);  // the same answer again is no change
  const std::string run = "runs/" + id;
  grpc::Status status;
  Follow(id, 0, &status, [](const v1::Event& event) { return event.has_interview_started(); });
  v1::ListRunQuestionsRequest list;
  list.set_id(id);
  v1::PaginatedApiQuestionList questions;
  ASSERT_TRUE(Call(*people_, &v1::HumanService::Stub::ListRunQuestions, list, &questions).ok());
  ASSERT_EQ(questions.data_size(), 1);
  v1::PauseRunRequest pause;
  pause.set_id(id);
  v1::UnpauseRunRequest unpause;
  unpause.set_id(id);
  v1::RunStatusResponse response;
  as_ = "cn:builder";
  EXPECT_TRUE(Call(*runs_, &v1::RunService::Stub::PauseRun, pause, &response).ok());
  EXPECT_FALSE(Call(*runs_, &v1::RunService::Stub::PauseRun, pause, &response).ok());  // paused already
  EXPECT_TRUE(Call(*runs_, &v1::RunService::Stub::UnpauseRun, unpause, &response).ok());
  as_ = "Zo%C3%AB%20M";
  v1::SubmitAnswerRequest answer;
  answer.set_id(id);
  answer.set_qid(questions.data(0).id());
  answer.set_selected_option_key("A");
  v1::SubmitRunAnswerResponse none;
  EXPECT_TRUE(Call(*people_, &v1::HumanService::Stub::SubmitRunAnswer, answer, &none).ok());
  AwaitEnd(id);
  EXPECT_FALSE(Cancel(id).ok());  // over
  as_.clear();
  EXPECT_TRUE(Delete(id).ok());
  EXPECT_EQ(Audit(), (std::vector<std::string>{"local RunService/DeleteRun " + run + " ok",
                                               "Zo\u00eb M HumanService/SubmitRunAnswer " + run + " ok",
                                               "cn:builder RunService/UnpauseRun " + run + " ok",
                                               "cn:builder RunService/PauseRun " + run + " ok",
                                               "alice RunService/StartRun " + run + " ok"}));
  v1::ListAuditEntriesRequest filter;
  filter.set_filter_principal("cn:builder");
  filter.set_filter_action("RunService/PauseRun");
  filter.set_filter_resource(run);
  EXPECT_EQ(Audit(filter).size(), 1U);
}

TEST_F(ServicesTest, RefusesAMalformedPrincipal) {
  v1::GetUserRequest request;
  v1::UserResponse user;
  for (const std::string bad : {"%zz", "a b", "%FF"}) {
    as_ = bad;
    EXPECT_EQ(Call(*discovery_, &v1::DiscoveryService::Stub::GetUser, request, &user).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
  as_ = "cn:alice";
  ASSERT_TRUE(Call(*discovery_, &v1::DiscoveryService::Stub::GetUser, request, &user).ok());
  EXPECT_EQ(user.login(), "alice");
}

class FewStreamsTest : public ServicesTest {
 protected:
  FewStreamsTest() : ServicesTest("[limits]\nmax_streams = 2") {}
};

TEST_F(FewStreamsTest, ShedsTheNewestStreamsAndNothingElse) {
  const std::string id = Begin(kGate).id();
  v1::StreamRunEventsRequest request;
  request.set_id(id);
  request.set_after(0);
  std::array<grpc::ClientContext, 2> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::Event>>> streams;
  v1::Event event;
  for (grpc::ClientContext& context : contexts) {
    streams.push_back(runs_->StreamRunEvents(&context, request));
    EXPECT_TRUE(streams.back()->Read(&event));
  }
  grpc::Status status;
  EXPECT_TRUE(Follow(id, 0, &status).empty());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kLimit));
  // The refused call is counted until gRPC has let go of it, which may be after its client knows.
  AwaitMetric("fabro_core_calls_open{kind=\"stream\"} 2\n");
  AwaitMetric("fabro_core_calls_shed_total 1\n");
  EXPECT_TRUE(streams[0]->Read(&event));  // those that are open go on
  EXPECT_TRUE(Cancel(id).ok());
  for (const auto& stream : streams) {
    while (stream->Read(&event)) {
    }
    EXPECT_TRUE(stream->Finish().ok());
  }
}

TEST_F(RolesTest, EachRoleMayDoItsPart) {
  as_ = "otto";
  const std::string id = Begin(kGate).id();
  v1::RetrieveRunRequest look;
  look.set_id(id);
  v1::RunStatusResponse response;
  for (const std::string who : {"vera", "otto", "anna", "cn:builder"}) {
    as_ = who;
    EXPECT_TRUE(Call(*runs_, &v1::RunService::Stub::RetrieveRun, look, &response).ok()) << who;
  }
  as_ = "vera";
  grpc::Status status = Cancel(id);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonIn(status), ToString(Reason::kForbidden));
  EXPECT_EQ(status.error_message(), "Access denied. This needs the role operator.");
  for (const std::string who : {"", "builder", "cn:otto", "mallory"}) {
    as_ = who;
    EXPECT_EQ(Call(*runs_, &v1::RunService::Stub::RetrieveRun, look, &response).error_code(),
              grpc::StatusCode::PERMISSION_DENIED)
        << who;
    v1::GetHealthRequest health;
    v1::HealthResponse well;
    EXPECT_TRUE(Call(*discovery_, &v1::DiscoveryService::Stub::GetHealth, health, &well).ok());  // open
  }
  as_ = "cn:builder";
  EXPECT_TRUE(Cancel(id).ok());
  EXPECT_EQ(Delete(id).error_message(), "Access denied. This needs the role admin.");
  as_ = "anna";
  AwaitEnd(id);
  EXPECT_TRUE(Delete(id).ok());
}

TEST_F(RolesTest, AuditsRefusalsOnceAMinute) {
  as_ = "mallory";
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(Delete(kNobody).ok());
  EXPECT_FALSE(Cancel("x").ok());
  as_ = "anna";
  std::vector<std::string> lines = Audit();
  // A minute may have turned in between.
  ASSERT_GE(lines.size(), 2U);
  ASSERT_LE(lines.size(), 4U);
  EXPECT_EQ(lines.front(), "mallory RunService/CancelRun runs/x FORBIDDEN");
  EXPECT_EQ(lines.back(), "mallory RunService/DeleteRun runs/" + std::string(kNobody) + " FORBIDDEN");
  as_ = "otto";
  v1::ListAuditEntriesRequest request;
  v1::PaginatedAuditEntryList list;
  EXPECT_EQ(Call(*audit_, &v1::AuditService::Stub::ListAuditEntries, request, &list).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(RolesTest, AStreamNeedsARoleToo) {
  as_ = "otto";
  const std::string id = Begin(kGate).id();
  as_ = "mallory";
  grpc::Status status;
  EXPECT_TRUE(Follow(id, 0, &status).empty());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace fabro::rpc
