#include "core/workflows/catalog.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/async/runtime.h"
#include "core/base/error.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_directory.h"

namespace fabro::workflows {
namespace {

namespace fs = std::filesystem;
using testing::RunTask;
using testing::TempDirectory;

std::string Graph(const std::string& name, const std::string& script) {
  return "digraph " + name + " { start -> a -> exit  a [shape=parallelogram, script=\"" + script + "\"] }";
}

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() : runtime_(1), files_("files", 1, 16) {}

  void Write(const std::string& path, const std::string& text) {
    const fs::path file = folder_.path() / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string Dir(const std::string& name) { return (folder_.path() / name).string(); }

  std::vector<Summary> List() {
    const auto list = RunTask(runtime_.executor(), catalog_.List({}));
    EXPECT_TRUE(list.ok()) << list.status();
    return list.ok() ? *list : std::vector<Summary>();
  }
  absl::StatusOr<Registered> Find(const std::string& slug, Ask ask = {}) {
    return RunTask(runtime_.executor(), catalog_.Find(slug, std::move(ask)));
  }
  // The rules and messages of what is said of a workflow.
  std::string SaidOf(const std::string& slug, Ask ask = {}) {
    const auto found = Find(slug, std::move(ask));
    if (!found.ok()) return MessageOf(found.status());
    std::string said;
    for (const workflow::Diagnostic& diagnostic : found->diagnostics) {
      said += std::string(ToString(diagnostic.severity)) + " " + diagnostic.rule + ": " + diagnostic.message +
              "\n";
    }
    return said;
  }
  absl::StatusOr<std::string> ReadChild(const std::string& path) {
    return RunTask(runtime_.executor(), catalog_.ReadWorkflow(path));
  }

  Runtime runtime_;
  TempDirectory folder_;
  BlockingPool files_;
  Catalog catalog_{{Dir("one"), Dir("two")}, files_};
};

TEST_F(CatalogTest, FindsBothWaysToLieInAFolder) {
  EXPECT_TRUE(List().empty());
  Write("one/flat.fabro", Graph("b", "true"));
  Write("two/deep/workflow.fabro", Graph("a", "true"));
  Write("two/notes.txt", "no workflow");
  Write("two/empty/x", "no workflow");
  Write("two/not a name.fabro", Graph("c", "true"));
  const std::vector<Summary> list = List();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].slug, "deep");
  EXPECT_EQ(list[0].name, "a");
  EXPECT_EQ(list[0].filename, "workflow.fabro");
  EXPECT_EQ(list[1].slug, "flat");
  EXPECT_EQ(list[1].filename, "flat.fabro");
  EXPECT_TRUE(list[0].valid && list[1].valid);
  EXPECT_TRUE(Find("flat")->graph != nullptr && Find("deep")->graph != nullptr);
  EXPECT_EQ(SaidOf("none"), "Workflow none not found.");
  EXPECT_EQ(SaidOf("../one/flat"), "Workflow ../one/flat not found.");
}

TEST_F(CatalogTest, SeesAChangeAtOnce) {
  Write("one/w.fabro", Graph("before", "true"));
  EXPECT_EQ(List()[0].name, "before");
  Write("one/w.fabro", Graph("behind", "false"));
  EXPECT_EQ(List()[0].name, "behind");
  EXPECT_NE(Find("w")->source.find("false"), std::string::npos);
  Write("one/w.toml", "nonsense = 1\n");
  EXPECT_EQ(List()[0].diagnostics.size(), 1U);
  fs::remove(folder_.path() / "one/w.fabro");
  EXPECT_TRUE(List().empty());
}

TEST_F(CatalogTest, ShowsABrokenOneWithWhatIsWrong) {
  Write("one/bad.fabro", "digraph bad { start -> ");
  Write("one/toml.fabro", Graph("toml", "true"));
  Write("one/toml.toml", "goal = 3\nsetup.comands = [\"x\"]\n[[hooks]]\nevent = \"run_start\"\n");
  const std::vector<Summary> list = List();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_FALSE(list[0].valid || list[1].valid);
  EXPECT_EQ(Find("bad")->graph, nullptr);
  EXPECT_EQ(
      SaidOf("toml"),
      "error run_config: toml.toml:1:8: goal: must be a text, not 3\n"
      "error run_config: toml.toml:3:1: hooks[0]: needs a command or a url\n"
      "warning run_config: toml.toml:2:17: setup.comands: no such setting; did you mean setup.commands?\n");
  Write("one/lost/workflow.toml", "graph = \"other.fabro\"\n");
  EXPECT_NE(SaidOf("lost").find("error graph_file: reading other.fabro: No such file"), std::string::npos)
      << SaidOf("lost");
}

TEST_F(CatalogTest, TakesTheEarlierFolderAndTellsOfTheOther) {
  Write("one/w.fabro", Graph("first", "true"));
  Write("one/w/workflow.fabro", Graph("beside", "true"));
  Write("two/w/workflow.fabro", Graph("second", "true"));
  ASSERT_EQ(List().size(), 1U);
  EXPECT_EQ(List()[0].name, "first");
  EXPECT_TRUE(List()[0].valid);
  EXPECT_EQ(SaidOf("w"), "warning shadowed: the folder w beside w.fabro is not used\nwarning shadowed: " +
                             Dir("two") + "/w is hidden by this one\n");
  EXPECT_EQ(List()[0].diagnostics.size(), 2U);
}

TEST_F(CatalogTest, ReadsItsSettingsVariablesAndPrompts) {
  Write("one/w/workflow.toml",
        "graph = \"main.fabro\"\ngoal = \"toml\"\n[vars]\nwho = \"toml\"\nwhat = \"toml\"\n[setup]\ncommands "
        "= [\"x\"]\n");
  Write("one/w/main.fabro",
        "digraph g { goal=\"$base $who $what\" start -> a -> exit  a [prompt=\"@parts/ask.md\"] }");
  Write("one/w/parts/ask.md", "Ask $them");
  Ask ask{{{"base", "server"}, {"who", "server"}}, {{"what", "caller"}}, std::nullopt};
  const auto found = Find("w", ask);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_NE(found->graph, nullptr) << SaidOf("w", ask);
  EXPECT_EQ(found->variables, (workflow::Variables{{"base", "server"}, {"who", "toml"}, {"what", "caller"}}));
  EXPECT_EQ(found->graph->goal, "toml");
  EXPECT_EQ(found->graph->FindNode("a")->prompt, "Ask $them");
  EXPECT_EQ(found->config.settings.setup_commands, (std::vector<std::string>{"x"}));
  EXPECT_EQ(found->filename, "main.fabro");
  // What is stored stands by itself.
  EXPECT_NE(workflow::LoadWorkflow(found->source, found->variables, {}).graph, nullptr);
  EXPECT_EQ(SaidOf("w").find("error "), 0U) << "base is not defined, and the file declares its variables";
  ask.goal = "caller";
  EXPECT_EQ(Find("w", ask)->graph->goal, "caller");
}

TEST_F(CatalogTest, ReadsAPromptAgainWhenItChanges) {
  Write("one/w.fabro", "digraph g { start -> a -> exit  a [prompt=\"@ask.md\"] }");
  EXPECT_FALSE(List()[0].valid);
  Write("one/ask.md", "first");
  EXPECT_TRUE(List()[0].valid);
  EXPECT_EQ(Find("w")->graph->FindNode("a")->prompt, "first");
}

TEST_F(CatalogTest, NeverFollowsALinkOutOfTheFolder) {
  Write("secret.fabro", Graph("secret", "true"));
  Write("secret.md", "hunter22");
  Write("one/inside.fabro", Graph("inside", "true"));
  fs::create_symlink("../secret.fabro", folder_.path() / "one/out.fabro");
  fs::create_symlink("inside.fabro", folder_.path() / "one/in.fabro");
  fs::create_symlink("..", folder_.path() / "one/up");
  Write("one/asks.fabro", "digraph g { start -> a -> exit  a [prompt=\"@../secret.md\"] }");
  Write("one/links.fabro", "digraph g { start -> a -> exit  a [prompt=\"@up/secret.md\"] }");
  Write("one/absolute.fabro", "digraph g { start -> a -> exit  a [prompt=\"@" + Dir("secret.md") + "\"] }");
  EXPECT_EQ(SaidOf("out"), "error graph_file: out.fabro lies outside of the workflow's folder\n");
  EXPECT_NE(Find("in")->graph, nullptr) << SaidOf("in");
  for (const char* slug : {"asks", "links", "absolute"}) {
    EXPECT_EQ(Find(slug)->graph, nullptr) << slug;
    EXPECT_NE(SaidOf(slug).find("error file_reference: "), std::string::npos) << SaidOf(slug);
    EXPECT_EQ(Find(slug)->source.find("hunter22"), std::string::npos) << slug;
  }
  fs::create_directory_symlink("../elsewhere", folder_.path() / "one/away");
  Write("elsewhere/workflow.fabro", Graph("away", "true"));
  EXPECT_NE(SaidOf("away").find("lies outside"), std::string::npos) << SaidOf("away");
}

TEST_F(CatalogTest, RefusesWhatIsTooLongOrNoText) {
  Write("one/long.fabro", std::string(workflow::kMaxSourceBytes + 1, ' '));
  EXPECT_EQ(SaidOf("long"), "error graph_file: long.fabro is longer than 1048576 bytes\n");
  Write("one/bytes.fabro", "digraph \xff {}");
  EXPECT_EQ(SaidOf("bytes"), "error graph_file: bytes.fabro is no UTF-8 text\n");
  fs::create_directories(folder_.path() / "one/folder.fabro");
  EXPECT_EQ(SaidOf("folder"), "error graph_file: folder.fabro is not a regular file\n");
}

TEST_F(CatalogTest, FindsChildWorkflowsInsideItsFoldersOnly) {
  Write("two/parts/lint.fabro", Graph("lint", "true"));
  Write("outside.fabro", Graph("outside", "true"));
  EXPECT_EQ(*ReadChild("parts/lint.fabro"), Graph("lint", "true"));
  EXPECT_EQ(*ReadChild(Dir("two/parts/lint.fabro")), Graph("lint", "true"));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadChild("../outside.fabro").status()));
  EXPECT_TRUE(absl::IsNotFound(ReadChild(Dir("outside.fabro")).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadChild("").status()));
  const absl::Status missing = ReadChild("parts/none.fabro").status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_NE(MessageOf(missing).find("parts/none.fabro is in none of the workflow folders"),
            std::string::npos);
  Write("two/parts/asks.fabro", "digraph g { start -> a -> exit  a [prompt=\"@none.md\"] }");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadChild("parts/asks.fabro").status()));
}

}  // namespace
}  // namespace fabro::workflows
