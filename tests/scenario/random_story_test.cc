// Stories that nobody wrote: random inputs at random moments, crashes among them. What a run does about each
// is not known here, but it must keep what every run promises (checks.h), and must still be able to end.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "core/base/strings.h"
#include "core/workflow/load.h"
#include "tests/scenario/checks.h"
#include "tests/scenario/player.h"

namespace fabro::scenario {
namespace {

constexpr std::array<std::string_view, 7> kWorkflows{
    R"(digraph everything {
  graph [goal="Walk", max_node_visits=6, retry_target=draft]
  start -> draft
  draft [shape=parallelogram, script="d $goal", retry_policy=aggressive]
  test [shape=parallelogram, script="t", max_retries=2, goal_gate=true]
  gate [shape=diamond]
  nap [shape=insulator, duration="20s"]
  ask [shape=hexagon, label="Ship?", timeout="90s", max_retries=1]
  ship [shape=parallelogram, script="s", auto_status=true]
  draft -> test
  test -> gate
  gate -> ask [condition="outcome=success || outcome=partial_success"]
  gate -> nap
  nap -> draft
  ask -> ship [label="[A] Approve"]
  ask -> draft [label="[R] Revise"]
  ask -> nap [freeform=true]
  ship -> exit
})",
    R"(digraph restart {
  graph [loop_restart_signature_limit=2]
  start -> fetch
  fetch [shape=parallelogram, script="f", retry_policy=linear, allow_partial=true]
  work [shape=parallelogram, script="w", max_visits=4]
  fetch -> work
  work -> fetch [condition="failure_class=transient_infra", loop_restart=true]
  work -> fetch [condition="context.again=true", loop_restart=true]
  work -> exit [condition="outcome!=fail"]
})",
    R"(digraph gates {
  start -> one
  one [shape=hexagon, human.multi_select=true, label="Which?"]
  two [shape=hexagon, label="Sure?", timeout="1m", human.default_choice=N]
  one -> two [label="A"]
  one -> two [label="B"]
  two -> exit [label="Yes"]
  two -> one [label="No"]
})",
    R"(digraph chance {
  graph [max_node_visits=9]
  start -> pick
  pick [shape=parallelogram, script="p", selection=random]
  think [shape=box, prompt="t"]
  pick -> think [weight=3]
  pick -> nap
  nap [shape=insulator, duration="1s"]
  think -> pick
  nap -> exit
})",
    R"(digraph side_by_side {
  graph [max_node_visits=8]
  start -> fan
  fan [shape=component, max_parallel=2]
  a [shape=parallelogram, script="a", retry_policy=aggressive]
  b [shape=hexagon, label="B?", timeout="40s"]
  c [shape=insulator, duration="15s"]
  d [shape=parallelogram, script="d", max_retries=1]
  gate [shape=diamond]
  join [shape=tripleoctagon]
  fan -> a  fan -> b  fan -> c
  a -> gate
  gate -> join [condition="outcome=success"]
  gate -> a
  b -> d [label="Yes"]
  b -> join [label="No"]
  c -> d -> join
  join -> fan [condition="context.again=true"]
  join -> exit
})",
    R"(digraph nested {
  graph [max_node_visits=8]
  start -> outer
  outer [shape=component]
  inner [shape=component, join_policy=first_success]
  outer -> inner  outer -> plain
  inner -> x  inner -> y
  x [shape=parallelogram, script="x"]
  y [shape=hexagon, label="Y?"]
  plain [shape=parallelogram, script="p", max_retries=2]
  x -> inner_join  y -> inner_join [label="Go"]
  inner_join [shape=tripleoctagon]
  inner_join -> last
  last [shape=box, prompt="l"]
  last -> outer_join
  plain -> outer_join
  outer_join [shape=tripleoctagon]
  outer_join -> exit
})",
    R"(digraph family {
  graph [max_node_visits=8]
  start -> fan
  fan [shape=component, join_policy=first_success]
  kid [shape=house, stack.child_workflow="kid.dot", manager.poll_interval="20s", max_retries=1]
  a [shape=parallelogram, script="a"]
  join [shape=tripleoctagon]
  last [shape=house, stack.child_workflow="kid.dot"]
  fan -> kid -> join  fan -> a -> join
  join -> last
  last -> a [condition="outcome=fail"]
  last -> exit
  a -> exit [condition="context.never=1"]
})",
};

class Writer {
 public:
  explicit Writer(std::uint32_t seed) : chance_(seed) {}

  std::string Line(const engine::Machine& machine) {
    // What fits the moment comes often, or the walks would not get far.
    if (machine.status() == RunStatus::kQueued && Below(3) > 0) return "start";
    const std::vector<engine::ExecutionView> executions = machine.Executions();
    if (!executions.empty() && Below(3) > 0) {
      const std::size_t which = Below(static_cast<std::uint32_t>(executions.size()));
      return StrCat("stage ", executions[which].stage_id, " ", Pick(kEnds));
    }
    if (machine.activity() == engine::Activity::kActive && executions.empty() && Below(3) > 0) return "slot";
    if (!machine.question_text().empty() && Below(3) > 0) {
      return StrCat("answer ", machine.OpenQuestions().front().id, " ", Pick(kAnswers), " by walker");
    }
    if (machine.wake_at() && Below(2) > 0) return StrCat("tick ", 1 + Below(60), "s");
    return std::string(Pick(kAnything));
  }

 private:
  static constexpr std::array<std::string_view, 8> kEnds{"success",
                                                         "success label=\"[R] revise\"",
                                                         "success set again=true",
                                                         "fail \"broken 17\" deterministic",
                                                         "fail \"HTTP 503\" transient_infra",
                                                         "retry",
                                                         "skipped",
                                                         "partial_success set outcome=1 notes=some"};
  static constexpr std::array<std::string_view, 7> kAnswers{
      "key=A", "key=r", "value=yes", "value=No", "keys=A,B", "value=\"something else\"", ""};
  static constexpr std::array<std::string_view, 22> kAnything{"start",
                                                              "rewind last by w",
                                                              "rewind 5 by w",
                                                              "child kid started begin",
                                                              "child kid completed success",
                                                              "child kid failed x",
                                                              "child last started begin",
                                                              "child last seen stop",
                                                              "prepared dir=/elsewhere repository=/r",
                                                              "slot",
                                                              "continue",
                                                              "due",
                                                              "crash",
                                                              "crash",
                                                              "pause by w",
                                                              "unpause by w",
                                                              "unpause by w",
                                                              "tick 7s",
                                                              "tick 100ms",
                                                              "output stdout \"text\"",
                                                              "answer q-1 key=A",
                                                              "stall 60s"};

  std::uint32_t Below(std::uint32_t n) { return static_cast<std::uint32_t>(chance_() % n); }
  template <std::size_t kSize>
  std::string_view Pick(const std::array<std::string_view, kSize>& from) {
    return from[Below(kSize)];
  }

  std::mt19937 chance_;
};

// Helps the run to its end as patient people and a healthy machine would.
std::string HelpfulLine(const engine::Machine& machine, int turn) {
  if (machine.status() == RunStatus::kQueued) return "start";
  if (machine.status() == RunStatus::kPaused) return "unpause by helper";
  const std::vector<engine::ExecutionView> executions = machine.Executions();
  if (!executions.empty()) return StrCat("stage ", executions.front().stage_id, " success set again=false");
  if (!machine.question_text().empty()) {
    const engine::QuestionView question = machine.OpenQuestions().front();
    return StrCat("answer ", question.id, " key=", question.options.front().key, " by helper");
  }
  if (machine.IsExecutingPreparation()) return "prepared dir=/elsewhere";
  const std::string node(machine.current_node());
  if ((node == "fan" || node == "last") && turn % 4 < 2) {
    return StrCat("child ", node == "fan" ? "kid" : node,
                  turn % 4 == 0 ? " started begin" : " completed success");
  }
  if (turn % 4 == 2 && machine.activity() == engine::Activity::kActive) return "slot";
  if (machine.wake_at()) return "tick 2m";
  return "slot";
}

class RandomStory : public ::testing::TestWithParam<int> {};

TEST_P(RandomStory, KeepsEveryPromiseAndCanEnd) {
  constexpr int kSeeds = 80;  // as many lines as the seed says
  constexpr int kHelpfulLines = 200;
  const workflow::LoadResult loaded =
      workflow::LoadWorkflow(kWorkflows[static_cast<std::size_t>(GetParam())], {}, {});
  ASSERT_NE(loaded.graph, nullptr) << workflow::JoinMessages(loaded.diagnostics);
  int ended_by_itself = 0;
  for (int seed = 0; seed < kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Player player(loaded.graph);
    Writer writer(static_cast<std::uint32_t>(seed));
    std::string story;
    if (seed % 4 == 3) player.Play("prepares");
    const auto play = [&](const std::string& line) {
      story += line + "\n";
      for (const std::string& said : player.Play(line)) {
        EXPECT_FALSE(said.starts_with("error")) << said;
        story += "  " + said + "\n";
      }
    };
    for (int i = 0; i < seed && !IsTerminal(player.machine().status()); ++i)
      play(writer.Line(player.machine()));
    ended_by_itself += IsTerminal(player.machine().status()) ? 1 : 0;
    for (int i = 0; i < kHelpfulLines && !IsTerminal(player.machine().status()); ++i) {
      play(HelpfulLine(player.machine(), i));
    }
    EXPECT_TRUE(IsTerminal(player.machine().status())) << "the run hangs";
    CheckInvariants(player);
    if (HasFailure()) ADD_FAILURE() << story;
  }
  EXPECT_LT(ended_by_itself, kSeeds);
}

INSTANTIATE_TEST_SUITE_P(All, RandomStory, ::testing::Range(0, static_cast<int>(kWorkflows.size())));

}  // namespace
}  // namespace fabro::scenario
