#include "cli/progress.h"

#include <gtest/gtest.h>

namespace fabro::cli {
namespace {

constexpr Timestamp kStart{1'774'872'000'000};

// A run that fails a test, fixes it, asks and ends; each line is an event's fields.
std::vector<RunEvent> Story() {
  const std::vector<std::string> texts = {
      R"("event":"WorkflowRunStarted","name":"Ship","goal":"ship it")",
      R"("event":"StageStarted","node_id":"start","name":"start","handler_type":"start","attempt":1,"max_attempts":1)",
      R"("event":"StageCompleted","node_id":"start","name":"start","status":"success","duration_ms":0)",
      R"("event":"EdgeSelected","from_node":"start","to_node":"test","reason":"unconditional")",
      R"("event":"StageStarted","node_id":"test","name":"Run tests","handler_type":"command","attempt":1,"max_attempts":3)",
      R"("event":"StageOutput","node_id":"test","stream":"stdout","text":"one\ntw"})",
      R"("event":"StageOutput","node_id":"test","stream":"stdout","text":"o\u001b[31m\nthree")",
      R"("event":"StageFailed","node_id":"test","name":"Run tests","duration_ms":1200,"will_retry":true,"attempt":1,"max_attempts":3,"failure":{"message":"timed out"})",
      R"("event":"StageRetrying","node_id":"test","name":"Run tests","attempt":2,"max_attempts":3,"delay_ms":5000)",
      R"("event":"StageStarted","node_id":"test","name":"Run tests","handler_type":"command","attempt":2,"max_attempts":3)",
      R"("event":"StageFailed","node_id":"test","name":"Run tests","duration_ms":300,"will_retry":false,"attempt":2,"max_attempts":3,"failure":{"message":"exit code 1\n\n## stdout\nassert failed\n\n## stderr\n"})",
      R"("event":"EdgeSelected","from_node":"test","to_node":"fix","reason":"condition","condition":"outcome=fail")",
      R"("event":"StageStarted","node_id":"fix","name":"fix","handler_type":"command","attempt":1,"max_attempts":1)",
      R"("event":"StageCompleted","node_id":"fix","name":"fix","status":"success","duration_ms":40,"attempt":1,"max_attempts":1)",
      R"("event":"InterviewStarted","question_id":"q-1","question":"Ship?","stage":"gate","question_type":"yes_no")",
      R"("event":"InterviewCompleted","question_id":"q-1","question":"Ship?","answer":"Y","by":"local")",
      R"("event":"WorkflowRunResumed","after":12)",
      R"("event":"SomethingNew","text":"from a later server")",
      R"("event":"WorkflowRunCompleted","status":"success","duration_ms":65000)",
  };
  std::vector<RunEvent> events;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::string text = texts[i];
    if (text.ends_with('}') && text.find("failure") == std::string::npos) text.pop_back();
    const auto event =
        ParseEvent("{\"id\":" + std::to_string(i + 1) + ",\"ts\":\"2026-03-30T12:00:00.000Z\"," + text + "}");
    EXPECT_TRUE(event.ok()) << text;
    events.push_back(*event);
  }
  return events;
}

std::string Tell(Progress& progress, const std::vector<RunEvent>& events) {
  std::string out;
  for (const RunEvent& event : events) {
    for (const Line& line : progress.Apply(event, kStart)) out += PlainText(line) + "\n";
  }
  return out;
}

TEST(Progress, TellsAStoryOnAPipe) {
  Progress progress({}, /*in_place=*/false);
  EXPECT_EQ(Tell(progress, Story()),
            "* Ship  ship it\n"
            "> Run tests (attempt 1 of 3)\n"
            "    one\n"
            "    two\n"
            "    three\n"
            "! Run tests  1.2s (attempt 1 of 3)  timed out\n"
            "    trying again in 5.0s\n"
            "> Run tests (attempt 2 of 3)\n"
            "x Run tests  0.3s (attempt 2 of 3)  exit code 1\n"
            "    ## stdout\n"
            "    assert failed\n"
            "  -> fix  (outcome=fail)\n"
            "> fix\n"
            "+ fix  0.0s\n"
            "? Ship?\n"
            "    answered by local: Y\n"
            "  the server was restarted; going on from the last checkpoint\n"
            "+ completed after 1m05s\n");
}

TEST(Progress, TellsLessOnATerminalWhereTheRestIsInMotion) {
  Progress progress({.unicode = true}, /*in_place=*/true);
  EXPECT_EQ(Tell(progress, Story()),
            "● Ship  ship it\n"
            "↻ Run tests  1.2s (attempt 1 of 3)  timed out\n"
            "    trying again in 5.0s\n"
            "✗ Run tests  0.3s (attempt 2 of 3)  exit code 1\n"
            "    ## stdout\n"
            "    assert failed\n"
            "  ↳ fix  (outcome=fail)\n"
            "✓ fix  0.0s\n"
            "? Ship?\n"
            "    answered by local: Y\n"
            "  the server was restarted; going on from the last checkpoint\n"
            "✓ completed after 1m05s\n");
}

TEST(Progress, ShowsTheStageAtWorkWithTheEndOfItsOutput) {
  Progress progress({.unicode = true}, /*in_place=*/true);
  RunEvent started{
      .id = 1, .ts = kStart, .type = "StageStarted", .node = "t", .name = "Test", .handler = "command"};
  progress.Apply(started, kStart + std::chrono::seconds(100));  // this machine's clock is ahead
  RunEvent output{
      .id = 2, .ts = kStart, .type = "StageOutput", .node = "t", .text = "1\n2\n3\n4\n5\n6\n7\nopen"};
  progress.Apply(output, kStart + std::chrono::seconds(101));
  const auto lines = progress.Live(kStart + std::chrono::seconds(103), 1);
  std::string out;
  for (const Line& line : lines) out += PlainText(line) + "\n";
  EXPECT_EQ(out, "⠙ Test  3.0s\n    3\n    4\n    5\n    6\n    7\n");
}

TEST(Progress, CountsDownToTheNextAttempt) {
  Progress progress({}, /*in_place=*/true);
  progress.Apply({.id = 1, .ts = kStart, .type = "StageStarted", .node = "t", .name = "Test"}, kStart);
  progress.Apply({.id = 2, .ts = kStart, .type = "StageFailed", .node = "t", .will_retry = true}, kStart);
  RunEvent retrying{
      .id = 3, .ts = kStart, .type = "StageRetrying", .node = "t", .delay = std::chrono::seconds(20)};
  progress.Apply(retrying, kStart);
  const auto lines = progress.Live(kStart + std::chrono::seconds(5), 0);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(PlainText(lines[0]), "| Test  next attempt in 15s");
}

TEST(Progress, CutsALongReasonToItsEnd) {
  Progress progress({}, /*in_place=*/false);
  std::string reason = "exit code 2\n";
  for (int i = 1; i <= 40; ++i) reason += "\nline " + std::to_string(i);
  const auto lines = progress.Apply({.id = 1, .type = "StageFailed", .node = "t", .text = reason}, kStart);
  ASSERT_EQ(lines.size(), 2 + Progress::kFailureLines);
  EXPECT_EQ(PlainText(lines[1]), "    (25 lines before)");
  EXPECT_EQ(PlainText(lines.back()), "    line 40");
}

TEST(Progress, DoesNotRepeatOutputThatStandsAbove) {
  Progress progress({}, /*in_place=*/false);
  progress.Apply({.id = 1, .ts = kStart, .type = "StageStarted", .node = "t", .name = "Test"}, kStart);
  progress.Apply({.id = 2, .ts = kStart, .type = "StageOutput", .node = "t", .text = "assert failed\n"},
                 kStart);
  const auto lines = progress.Apply(
      {.id = 3, .ts = kStart, .type = "StageFailed", .node = "t", .text = "exit 1\nassert failed"}, kStart);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(PlainText(lines[0]), "x Test  0.0s  exit 1");
}

TEST(Progress, LeavesAQuestionToItsOwnLines) {
  Progress progress({}, /*in_place=*/false);
  EXPECT_TRUE(progress.Apply({.id = 1, .type = "StageStarted", .node = "g", .handler = "human"}, {}).empty());
  EXPECT_TRUE(
      progress.Apply({.id = 2, .type = "StageCompleted", .node = "g", .status = "success"}, {}).empty());
}

TEST(Event, IsReadWithoutTrustInItsKinds) {
  const auto event =
      ParseEvent(R"({"id":3,"event":"StageStarted","node_id":7,"attempt":"x","name":"\u0000"})");
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->node, "");
  EXPECT_EQ(event->attempt, 0);
  for (const char* bad :
       {"", "[]", "{}", "{\"id\":1}", "{\"event\":\"X\"}", "{\"id\":-1,\"event\":\"X\"}", "{"}) {
    EXPECT_FALSE(ParseEvent(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace fabro::cli
