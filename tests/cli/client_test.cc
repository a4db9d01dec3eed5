// The command line against a scripted server.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/event_follower.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "tests/support/scripted_server.h"

namespace fabro::cli {
namespace {

using std::chrono::milliseconds;
using tests::JsonAnswer;
using tests::ScriptedRequest;
using tests::ScriptedServer;
using tests::StreamAnswer;

constexpr char kId[] = "01KAT3M2Q4V7RZ8N5C6YJ0W9XE";

std::string ErrorBody(const std::string& detail) { return "{\"errors\":[{\"detail\":\"" + detail + "\"}]}"; }

std::string Frame(int id, const std::string& fields) {
  return StrCat("id: ", id, "\ndata: {\"id\":", id, ",\"ts\":\"2026-03-30T12:00:00.000Z\",", fields, "}\n\n");
}

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

Ran Fabro(std::vector<std::string> args) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ran ran;
  ran.code = Main(args, nullptr);
  ran.out = testing::internal::GetCapturedStdout();
  ran.err = testing::internal::GetCapturedStderr();
  return ran;
}

class WorkflowFile {
 public:
  WorkflowFile() : path_(StrCat(testing::TempDir(), "client_test_", ::getpid(), ".fabro")) {
    std::ofstream(path_) << "digraph w {}";
  }
  ~WorkflowFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

const std::string kRun =
    StrCat("{\"id\":\"", kId, "\",\"status\":\"queued\",\"created_at\":\"2026-03-30T12:00:00Z\"}");

TEST(FabroRun, FollowsAnswersAndEndsWithTheRunsExitCode) {
  ScriptedServer server([](const ScriptedRequest& request) {
    if (request.method == "POST" && request.target == "/runs") return JsonAnswer(201, kRun);
    if (request.target.find("/questions?") != std::string::npos) {
      return JsonAnswer(200, R"({"data":[{"id":"q-1","text":"Ok?","question_type":"yes_no","options":[)"
                             R"({"key":"Y","label":"Yes"},{"key":"N","label":"No"}],"allow_freeform":false,)"
                             R"("stage_id":"gate"}],"meta":{"has_more":false}})");
    }
    if (request.target.ends_with("/answer"))
      return std::string("HTTP/1.1 204 X\r\nConnection: close\r\n\r\n");
    // Each connection gives one more event and breaks: three connections in all.
    if (request.HeadHas("Last-Event-ID: 0\r\n")) {
      return StreamAnswer(
          Frame(1, R"("event":"InterviewStarted","question_id":"q-1","question":"Ok?","stage":"gate")"));
    }
    if (request.HeadHas("Last-Event-ID: 1\r\n")) {
      return StreamAnswer(": ping\n\n" + Frame(1, R"("event":"RunNotice","message":"seen before")") +
                          Frame(2, R"("event":"InterviewCompleted","question_id":"q-1","answer":"Y")") +
                          "id: 3\nda");
    }
    return StreamAnswer(Frame(3, R"("event":"WorkflowRunFailed","error":"no luck","duration_ms":100)"));
  });
  const WorkflowFile file;
  const Ran ran = Fabro({"run", file.path(), "--answer", "yes", "--var", "a=1", "--server", server.url()});
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_EQ(ran.out.find("seen before"), std::string::npos);
  EXPECT_NE(ran.out.find("? Ok?\n    [Y] Yes\n    [N] No\n    answered: Y\n"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("failed after 0.1s: no luck\n"), std::string::npos) << ran.out;
  bool answered = false;
  for (const ScriptedRequest& request : server.requests()) {
    if (request.target == "/runs") {
      EXPECT_EQ(request.body, R"({"dot_source":"digraph w {}","vars":{"a":"1"}})");
      EXPECT_TRUE(request.HeadHas("Idempotency-Key: "));
    }
    if (request.target == StrCat("/runs/", kId, "/questions/q-1/answer")) {
      answered = true;
      EXPECT_EQ(request.body, R"({"selected_option_key":"Y"})");
    }
  }
  EXPECT_TRUE(answered);
}

TEST(FabroRun, PrintsOneEventALineAsJson) {
  const std::string event = R"("event":"WorkflowRunCompleted","status":"success","duration_ms":1)";
  ScriptedServer server([&](const ScriptedRequest& request) {
    return request.method == "POST" ? JsonAnswer(201, kRun) : StreamAnswer(Frame(1, event));
  });
  const WorkflowFile file;
  const Ran ran = Fabro({"run", file.path(), "--json", "--server", server.url()});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, StrCat("{\"id\":1,\"ts\":\"2026-03-30T12:00:00.000Z\",", event, "}\n"));
}

TEST(FabroRun, CancelsTheRunOnSigint) {
  std::atomic<bool> cancelled = false;
  ScriptedServer server([&](const ScriptedRequest& request) {
    if (request.target == "/runs") return JsonAnswer(201, kRun);
    if (request.target.ends_with("/cancel")) {
      cancelled = true;
      return JsonAnswer(200, kRun);
    }
    if (cancelled)
      return StreamAnswer(Frame(1, R"("event":"WorkflowRunCancelled","by":"local","duration_ms":5)"));
    ::kill(::getpid(), SIGINT);
    return StreamAnswer("");
  });
  const WorkflowFile file;
  const Ran ran = Fabro({"run", file.path(), "--server", server.url()});
  EXPECT_EQ(ran.code, 130);
  EXPECT_TRUE(cancelled);
  EXPECT_NE(ran.out.find("cancelled by local"), std::string::npos) << ran.out;
}

TEST(FabroRun, SaysWhatTheServerRefuses) {
  ScriptedServer server([](const ScriptedRequest&) { return JsonAnswer(400, ErrorBody("no start node")); });
  const WorkflowFile file;
  const Ran ran = Fabro({"run", file.path(), "--server", server.url()});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err, StrCat("error: no start node\n  hint: fabro validate ", file.path(), " says where\n"));
  EXPECT_EQ(Fabro({"run", "/nowhere.fabro", "--server", server.url()}).code, 1);
}

TEST(FabroPs, SaysHowToStartAServerThatIsNotThere) {
  std::string url;
  {
    ScriptedServer server([](const ScriptedRequest&) { return ""; });
    url = server.url();
  }
  const Ran ran = Fabro({"ps", "--server", url});
  EXPECT_EQ(ran.code, 3);
  EXPECT_NE(ran.err.find("error: no server answers at " + url), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("fabro serve"), std::string::npos) << ran.err;
}

TEST(FabroPs, ListsActiveRunsOnceTheNewestFirst) {
  ScriptedServer server([](const ScriptedRequest& request) {
    const auto item = [](const std::string& id, const std::string& status, const std::string& rest) {
      return StrCat("{\"id\":\"", id, "\",\"run_status\":\"", status,
                    "\",\"status\":\"working\",\"title\":\"t\",", "\"workflow\":{\"slug\":\"w\"}", rest, "}");
    };
    std::string data;
    if (request.target.find("status%5D=queued") != std::string::npos) {
      data = item("01B", "queued", ",\"queue_position\":1");
    } else if (request.target.find("status%5D=running") != std::string::npos) {
      data = item("01C", "running", ",\"question\":{\"text\":\"Ok?\"}") + "," + item("01B", "running", "");
    }
    return JsonAnswer(200, StrCat("{\"data\":[", data, "],\"meta\":{\"has_more\":false}}"));
  });
  const Ran ran = Fabro({"ps", "--server", server.url()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "ID   STATUS     AGE  WORKFLOW  TITLE\n01C  running         w         ? Ok?\n"
            "01B  queued #1       w         t\n");
}

TEST(FabroValidate, PrintsDiagnosticsLikeACompiler) {
  ScriptedServer server([](const ScriptedRequest&) {
    return JsonAnswer(
        200,
        R"({"valid":false,"diagnostics":[{"rule":"syntax","severity":"error","message":"oh \u001b[31m",)"
        R"("line":3,"column":7},{"rule":"model_known","severity":"warning","message":"m","node_id":"n"}]})");
  });
  const WorkflowFile file;
  const Ran ran = Fabro({"validate", file.path(), "--server", server.url()});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, StrCat(file.path(), ":3:7: error: oh  [syntax]\n", file.path(),
                            ": warning: m (n) [model_known]\n"));
}

TEST(FabroEvents, PagesThroughTheHistory) {
  ScriptedServer server([](const ScriptedRequest& request) {
    const bool first = request.target.find("offset%5D=4") != std::string::npos;
    const std::string event =
        StrCat("{\"id\":", first ? 5 : 6, ",\"event\":\"RunNotice\",\"message\":\"m\"}");
    return JsonAnswer(
        200, StrCat("{\"data\":[", event, "],\"meta\":{\"has_more\":", first ? "true" : "false", "}}"));
  });
  const Ran ran = Fabro({"events", kId, "--after", "4", "--json", "--server", server.url()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "{\"event\":\"RunNotice\",\"id\":5,\"message\":\"m\"}\n"
            "{\"event\":\"RunNotice\",\"id\":6,\"message\":\"m\"}\n");
}

TEST(FabroCancel, FindsARunByTheEndOfItsId) {
  ScriptedServer server([](const ScriptedRequest& request) {
    if (request.method == "POST") return JsonAnswer(409, ErrorBody("Run is not cancellable."));
    return JsonAnswer(200,
                      StrCat("{\"data\":[{\"id\":\"", kId, "\"},{\"id\":\"01KAT3M2Q4V7RZ8N5C6YJ0W0AB\"}],",
                             "\"meta\":{\"has_more\":false}}"));
  });
  const Ran ran = Fabro({"cancel", "w9xe", "--server", server.url()});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err, "error: Run is not cancellable.\n");
  EXPECT_EQ(server.requests().back().target, StrCat("/runs/", kId, "/cancel"));
  EXPECT_NE(Fabro({"cancel", "01kat3", "--server", server.url()}).err.find("fits 2 runs"), std::string::npos);
}

// A client whose streams fail at once, and a clock that the test moves.
class FailingClient final : public HttpClient {
 public:
  absl::StatusOr<HttpResponse> Send(const HttpRequest&) override { return Internal("not used"); }
  std::unique_ptr<HttpStream> Open(const HttpRequest&) override {
    ++opened;
    return std::make_unique<Stream>();
  }
  int opened = 0;

 private:
  class Stream final : public HttpStream {
   public:
    Step Wait(milliseconds, const std::vector<int>&) override {
      return {.ended = true, .failure = Unavailable(Reason::kUpstream, "", "refused")};
    }
    long status() const override { return 0; }
  };
};

class HandClock final : public Clock {
 public:
  Timestamp Now() const override { return {}; }
  std::chrono::steady_clock::time_point Steady() const override { return now; }
  std::chrono::steady_clock::time_point now;
};

TEST(EventFollower, WaitsLongerEachTimeAndGivesUpAfterItsPatience) {
  FailingClient http;
  Api api(http, "http://x");
  HandClock clock;
  EventFollower follower(api, "r", 0, FollowPolicy(), clock);
  absl::Status failure;
  int steps = 0;
  while (failure.ok() && steps < 10'000) {
    failure = follower.Wait(milliseconds(0), {}).failure;
    clock.now += milliseconds(50);
    ++steps;
  }
  EXPECT_TRUE(IsUnreachable(failure)) << failure;
  EXPECT_FALSE(follower.is_connected());
  // 100, 200, 400, 800, 1600 ms, then every 2 s within a minute.
  EXPECT_GE(http.opened, 30);
  EXPECT_LE(http.opened, 36);
}

TEST(EventFollower, ConnectsAgainWhenAnEventIsMissing) {
  ScriptedServer server([](const ScriptedRequest& request) {
    if (request.HeadHas("Last-Event-ID: 0\r\n"))
      return StreamAnswer(Frame(1, "\"a\":1") + Frame(3, "\"a\":3"));
    if (request.HeadHas("Last-Event-ID: 1\r\n")) return StreamAnswer(Frame(2, "\"a\":2"));
    return JsonAnswer(410, ErrorBody("Event stream closed."));
  });
  const auto http = MakeHttpClient({});
  Api api(*http, server.url());
  EventFollower follower(api, kId, 0, {.first_delay = milliseconds(1)}, SystemClock());
  std::vector<std::string> events;
  bool ended = false;
  while (!ended) {
    const auto step = follower.Wait(milliseconds(100), {});
    ASSERT_TRUE(step.failure.ok()) << step.failure;
    events.insert(events.end(), step.events.begin(), step.events.end());
    ended = step.ended;
  }
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(follower.last_id(), 2u);
}

TEST(Health, TellsWellFromUnwellFromSilence) {
  std::string server_url;
  {
    ScriptedServer server([](const ScriptedRequest& request) {
      if (request.target == "/health/live") return JsonAnswer(200, "{}");
      return JsonAnswer(503, ErrorBody("Not ready: disk: 3 MiB are left."));
    });
    server_url = server.url();
    ::setenv("FABRO_TOKEN", "t0ken", 1);
    const Ran unwell = Fabro({"health", "--server", server_url});
    const Ran live = Fabro({"health", "--live", "--server", server_url});
    ::unsetenv("FABRO_TOKEN");
    EXPECT_EQ(unwell.code, 1);
    EXPECT_EQ(unwell.err, "error: Not ready: disk: 3 MiB are left.\n");
    EXPECT_EQ(live.code, 0);
    EXPECT_EQ(live.out, StrCat("live  ", server_url, '\n'));
    for (const ScriptedRequest& request : server.requests()) EXPECT_FALSE(request.HeadHas("t0ken"));
  }
  EXPECT_EQ(Fabro({"health", "--server", server_url}).code, 3);
}

TEST(EventFollower, EndsAtOnceForARunThatIsNotThere) {
  ScriptedServer server(
      [](const ScriptedRequest&) { return JsonAnswer(404, ErrorBody("Run x not found.")); });
  const auto http = MakeHttpClient({});
  Api api(*http, server.url());
  EventFollower follower(api, "x", 0, {}, SystemClock());
  absl::Status failure;
  while (failure.ok()) failure = follower.Wait(milliseconds(100), {}).failure;
  EXPECT_EQ(MessageOf(failure), "Run x not found.");
}

TEST(Http, SendsTheTokenAndReadsTheAnswer) {
  ScriptedServer server([](const ScriptedRequest&) { return JsonAnswer(200, "{}"); });
  const auto http = MakeHttpClient({.token = SecretString("t0ken")});
  const auto response = http->Send({.url = server.url() + "/x"});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->headers.at("content-type"), "application/json");
  EXPECT_TRUE(server.requests()[0].HeadHas("Authorization: Bearer t0ken\r\n"));
}

}  // namespace
}  // namespace fabro::cli
