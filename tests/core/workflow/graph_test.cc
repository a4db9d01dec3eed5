// What LoadWorkflow makes of a source that has no errors.
#include "core/workflow/graph.h"

#include <gtest/gtest.h>

#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Node& NodeOf(const std::shared_ptr<const Graph>& graph, std::string_view id) {
  const Node* node = graph->FindNode(id);
  EXPECT_NE(node, nullptr) << id;
  return *node;
}

TEST(Graph, DefaultsAreThoseOfTheLanguage) {
  const auto graph = LoadOrFail("digraph { start -> a -> exit  a [label=A] }");
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->default_max_retries, 0);
  EXPECT_EQ(graph->max_node_visits, 0);
  EXPECT_EQ(graph->stall_timeout, seconds(1800));
  EXPECT_EQ(graph->loop_restart_signature_limit, 3);
  const Node& a = NodeOf(graph, "a");
  EXPECT_EQ(a.kind, NodeKind::kAgent);
  EXPECT_EQ(a.label, "A");
  EXPECT_EQ(a.prompt, "A");
  EXPECT_EQ(a.max_parallel, 4);
  EXPECT_FALSE(a.timeout || a.max_visits || a.max_retries || a.retry_policy || a.goal_gate);
  EXPECT_TRUE(a.project_memory);
  EXPECT_EQ(NodeOf(graph, "exit").label, "exit");
  EXPECT_EQ(graph->edges[0].weight, 0);
}

TEST(Graph, KindsComeFromTypeThenIdThenShape) {
  const auto graph = LoadOrFail(R"(digraph {
    node [shape=box, label=x]
    start -> agent -> tab -> command -> human -> cond -> par -> join -> timer -> child -> circle -> typed -> end
    tab [shape=tab] command [shape=parallelogram script=x] human [shape=hexagon] cond [shape=diamond]
    cond -> end [condition="outcome=fail"]
    par [shape=component] join [shape=tripleoctagon] timer [shape=insulator duration=1s]
    child [shape=house stack.child_workflow="c.dot"] circle [shape=circle]
    typed [shape=diamond type=agent_loop]
  })");
  ASSERT_TRUE(graph);
  const std::pair<const char*, const char*> kCases[] = {{"start", "start"},
                                                        {"end", "exit"},
                                                        {"agent", "agent"},
                                                        {"tab", "prompt"},
                                                        {"command", "command"},
                                                        {"human", "human"},
                                                        {"cond", "conditional"},
                                                        {"par", "parallel"},
                                                        {"join", "parallel.fan_in"},
                                                        {"timer", "wait"},
                                                        {"child", "stack.manager_loop"},
                                                        {"circle", "agent"},
                                                        {"typed", "agent"}};
  for (const auto& [id, kind] : kCases) EXPECT_EQ(ToString(NodeOf(graph, id).kind), kind) << id;
  EXPECT_EQ(graph->nodes[graph->start].id, "start");
  EXPECT_EQ(graph->nodes[graph->exit].id, "end");
}

TEST(Graph, AttributesAreTyped) {
  const auto graph = LoadOrFail(Around(R"(
    goal="Make it work" stall_timeout=0 max_node_visits=7 default_max_retries=2 retry_target=a default_thread=main
    s -> a -> e
    a [shape=parallelogram label="Build it" tool_command="make \d $HOME" language=python timeout=15m max_visits=3
       max_retries="2" retry_policy=patient retry_target=a goal_gate=true auto_status="true" allow_partial
       selection=random class="fast, cheap fast"]
    b [label=B model=m provider=p reasoning_effort=high max_tokens=100 fidelity="summary:low" thread_id=t
       project_memory=false backend=api prompt="Say $goal"]
    a -> b [weight=2.5 fidelity=full loop_restart=true label="go"]
    b -> e
  )"));
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->goal, "Make it work");
  EXPECT_EQ(graph->attributes.at("goal"), "Make it work");
  EXPECT_EQ(graph->stall_timeout, milliseconds(0));
  EXPECT_EQ(graph->max_node_visits, 7);
  EXPECT_EQ(graph->default_max_retries, 2);
  EXPECT_EQ(graph->default_thread, "main");
  const Node& a = NodeOf(graph, "a");
  EXPECT_EQ(a.kind, NodeKind::kCommand);
  EXPECT_EQ(a.script, "make \\d $HOME");
  EXPECT_EQ(a.attributes.at("script"), "make \\d $HOME");
  EXPECT_EQ(a.language, Language::kPython);
  EXPECT_EQ(a.timeout, minutes(15));
  EXPECT_EQ(a.max_visits, 3);
  EXPECT_EQ(a.max_retries, 2);
  EXPECT_EQ(a.retry_policy, RetryPolicy::kPatient);
  EXPECT_TRUE(a.goal_gate && a.auto_status && a.allow_partial);
  EXPECT_EQ(a.selection, Selection::kRandom);
  EXPECT_EQ(a.classes, (std::vector<std::string>{"fast", "cheap"}));
  EXPECT_EQ(a.prompt, "");
  const Node& b = NodeOf(graph, "b");
  EXPECT_EQ(b.reasoning_effort, ReasoningEffort::kHigh);
  EXPECT_EQ(b.max_tokens, 100);
  EXPECT_EQ(b.fidelity, Fidelity::kSummaryLow);
  EXPECT_EQ(b.prompt, "Say $goal");
  EXPECT_FALSE(b.project_memory);
  ASSERT_EQ(graph->edges.size(), 4u);
  const Edge& edge = graph->edges[2];
  EXPECT_EQ(graph->from(edge).id, "a");
  EXPECT_EQ(graph->to(edge).id, "b");
  EXPECT_EQ(edge.weight, 2.5);
  EXPECT_TRUE(edge.loop_restart);
  EXPECT_EQ(a.out, (std::vector<EdgeIndex>{1, 2}));
  EXPECT_EQ(NodeOf(graph, "e").in, (std::vector<EdgeIndex>{1, 3}));
}

TEST(Graph, PositionsAreThoseOfTheSource) {
  const auto graph = LoadOrFail("digraph {\n  start -> a -> exit\n  a [label=A]\n}");
  ASSERT_TRUE(graph);
  EXPECT_EQ(NodeOf(graph, "a").position.line, 2);
  EXPECT_EQ(NodeOf(graph, "a").position.column, 12);
  EXPECT_EQ(graph->edges[1].position.column, 17);
}

TEST(Graph, ConditionsAreParsedOnce) {
  const auto graph = LoadOrFail(Around(R"(s -> e [condition="  outcome = fail "] s -> e [condition=" "])"));
  ASSERT_TRUE(graph);
  EXPECT_TRUE(graph->edges[0].is_conditional());
  EXPECT_EQ(graph->edges[0].condition_text, "outcome = fail");
  EXPECT_FALSE(graph->edges[1].is_conditional());
}

TEST(Graph, AChildWorkflowHasItsDefaults) {
  const auto graph = LoadOrFail(Around(R"(s -> a -> e
    a [shape=house stack.child_dotfile="c.dot" manager.poll_interval=5s manager.stop_condition="x=1"])"));
  ASSERT_TRUE(graph);
  const Node& a = NodeOf(graph, "a");
  EXPECT_EQ(a.child_workflow, "c.dot");
  EXPECT_EQ(a.manager_poll_interval, seconds(5));
  EXPECT_EQ(a.manager_max_cycles, 1000);
  EXPECT_TRUE(a.manager_stop_condition);
}

TEST(Graph, DefaultModelServesNodesThatNameNone) {
  const auto graph = LoadOrFail(Around(R"(default_model=m default_provider=p
    s -> a -> b -> e a [label=A] b [label=B model=own])"));
  ASSERT_TRUE(graph);
  EXPECT_EQ(NodeOf(graph, "a").model, "m");
  EXPECT_EQ(NodeOf(graph, "b").model, "own");
  EXPECT_EQ(NodeOf(graph, "b").provider, "p");
}

TEST(Graph, FilesTakeThePlaceOfTheirPath) {
  const MapFileReader files({{"plan.md", "Plan \"it\" for $HOME.\n"}, {"goal.txt", "Ship"}});
  const auto graph =
      LoadOrFail(Around(R"(goal="@goal.txt" s -> a -> e a [prompt="@plan.md"])"), {}, {.files = &files});
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->goal, "Ship");
  EXPECT_EQ(graph->attributes.at("goal"), "Ship");
  EXPECT_EQ(NodeOf(graph, "a").prompt, "Plan \"it\" for $HOME.\n");
}

TEST(Graph, AGoalFromOutsideWins) {
  const auto graph = LoadOrFail(Around("goal=inner s -> e"), {}, {.goal = "outer"});
  ASSERT_TRUE(graph);
  EXPECT_EQ(graph->goal, "outer");
  EXPECT_EQ(graph->attributes.at("goal"), "outer");
}

TEST(Graph, InlinedFilesReadAsIfTheyWereThere) {
  const MapFileReader files({{"dir/plan.md", "Plan \"it\" \\n for $HOME and $goal, not $word.\n"}});
  const std::string source = Around(R"(
    // prompt="@dir/comment.md"
    s -> a -> e  a [label="@dir/label.md" prompt = "@$folder/plan.md" max_visits=$n])");
  const Variables variables{{"folder", "dir"}, {"n", "3"}, {"word", "thing"}};
  const auto inlined = InlineFiles(source, variables, files);
  ASSERT_TRUE(inlined.ok()) << MessageOf(inlined.status());
  const auto graph = LoadOrFail(*inlined, variables);
  ASSERT_TRUE(graph);
  EXPECT_EQ(NodeOf(graph, "a").prompt, "Plan \"it\" \\n for $HOME and $goal, not $word.\n");
  EXPECT_EQ(NodeOf(graph, "a").label, "@dir/label.md");

  EXPECT_EQ(*InlineFiles("digraph { \"open", {}, files), "digraph { \"open");
  const auto missing = InlineFiles("prompt=\"@none.md\"", {}, files);
  EXPECT_EQ(MessageOf(missing.status()), "reading none.md: no such file");
}

TEST(Graph, UnreadableSourcesAreRefused) {
  const auto message = [](std::string_view source) {
    const LoadResult result = LoadWorkflow(source, {}, {});
    EXPECT_FALSE(result.graph);
    return JoinMessages(result.diagnostics);
  };
  EXPECT_EQ(message("digraph {\n a [label=\"\xFF\"] }"),
            "Parse error: the source is not valid UTF-8 at line 2, column 12");
  EXPECT_EQ(message(std::string_view("digraph {\n\0}", 12)),
            "Parse error: the source holds a NUL byte at line 2, column 1");
}

}  // namespace
}  // namespace fabro::workflow
