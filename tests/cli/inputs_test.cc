// What comes in from a person: the command line, workflow files, answers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/health.h"
#include "cli/inline_files.h"
#include "cli/options.h"
#include "cli/questions.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/server_config.h"

namespace fabro::cli {
namespace {

ParsedArguments Parse(std::vector<std::string> args) { return ParseArguments(args, "", /*with_serve=*/true); }

TEST(Arguments, OfRun) {
  const auto parsed =
      Parse({"run", "f.fabro", "--goal", "g", "--var", "a=1", "--var", "b=x=y", "--label", "l=", "--answer",
             "A", "--answer", "gate=R", "--json", "--server", "http://h:1/"});
  ASSERT_TRUE(parsed.arguments.has_value()) << parsed.error;
  EXPECT_EQ(parsed.arguments->server, "http://h:1");
  EXPECT_TRUE(parsed.arguments->json);
  const auto& run = std::get<RunOptions>(parsed.arguments->command);
  EXPECT_EQ(run.workflow, "f.fabro");
  EXPECT_EQ(run.goal, "g");
  EXPECT_EQ(run.vars, (std::map<std::string, std::string>{{"a", "1"}, {"b", "x=y"}}));
  EXPECT_EQ(run.labels, (std::map<std::string, std::string>{{"l", ""}}));
  EXPECT_EQ(run.answers, (std::vector<std::string>{"A", "gate=R"}));
  EXPECT_FALSE(run.detach);
}

TEST(Arguments, OfAnswer) {
  auto parsed = Parse({"answer", "ID", "A"});
  EXPECT_EQ(std::get<AnswerOptions>(parsed.arguments->command).key, "A");
  parsed = Parse({"answer", "ID", "q-1", "A"});
  EXPECT_EQ(std::get<AnswerOptions>(parsed.arguments->command).question, "q-1");
  EXPECT_EQ(std::get<AnswerOptions>(parsed.arguments->command).key, "A");
  parsed = Parse({"answer", "ID", "q-1", "--text", "go on"});
  EXPECT_EQ(std::get<AnswerOptions>(parsed.arguments->command).question, "q-1");
  EXPECT_EQ(std::get<AnswerOptions>(parsed.arguments->command).text, "go on");
  EXPECT_EQ(Parse({"answer", "ID"}).exit_code, 2);
  EXPECT_EQ(Parse({"answer", "ID", "q", "A", "B"}).exit_code, 2);
  EXPECT_EQ(Parse({"answer", "ID", "q", "A", "--text", "t"}).exit_code, 2);
}

TEST(Arguments, OfServeBecomeOverrides) {
  const auto parsed = Parse({"serve", "--port", "0", "--debug", "--config", "c.toml"});
  ASSERT_TRUE(parsed.arguments.has_value()) << parsed.error;
  const auto& serve = std::get<ServeOptions>(parsed.arguments->command);
  EXPECT_EQ(serve.config_path, "c.toml");
  ASSERT_EQ(serve.overrides.size(), 2u);
  EXPECT_FALSE(ParseArguments({"serve"}, "", /*with_serve=*/false).arguments.has_value());
}

TEST(Arguments, TakeTheServerFromTheEnvironmentUnlessGiven) {
  EXPECT_EQ(ParseArguments({"ps"}, "https://e:2", false).arguments->server, "https://e:2");
  EXPECT_EQ(ParseArguments({"--server", "http://f", "ps"}, "https://e:2", false).arguments->server,
            "http://f");
  EXPECT_EQ(ParseArguments({"ps"}, "", false).arguments->server, "http://localhost:3000");
}

TEST(Arguments, OfHealthNameAServerOnlyWhenOneIsGiven) {
  const auto health = [](const ParsedArguments& parsed) {
    return std::get<HealthOptions>(parsed.arguments->command);
  };
  EXPECT_EQ(health(Parse({"health"})).server, "");
  EXPECT_EQ(health(Parse({"health", "--server", "http://h:1/"})).server, "http://h:1");
  EXPECT_EQ(health(Parse({"--server", "http://h:1", "health"})).server, "http://h:1");
  EXPECT_EQ(health(ParseArguments({"health"}, "https://e:2", true)).server, "https://e:2");
  EXPECT_TRUE(health(Parse({"health", "--live"})).live);
  EXPECT_TRUE(health(Parse({"health", "--core", "--config", "c.toml"})).core);
  EXPECT_FALSE(ParseArguments({"health", "--core"}, "", /*with_serve=*/false).arguments.has_value());
}

TEST(LocalUrl, IsWhereThisMachineReachesTheServer) {
  config::ServerConfig config;
  const auto url = [&](const std::string& host, int port, const std::string& cert) {
    config.api.host = host;
    config.api.port = port;
    config.api.tls.cert = cert;
    return LocalUrl(config).value_or("none");
  };
  EXPECT_EQ(url("127.0.0.1", 3000, ""), "http://127.0.0.1:3000");
  EXPECT_EQ(url("0.0.0.0", 80, "c.crt"), "https://127.0.0.1:80");
  EXPECT_EQ(url("::", 3000, ""), "http://[::1]:3000");
  EXPECT_EQ(url("fd00::7", 3000, ""), "http://[fd00::7]:3000");
  EXPECT_EQ(url("[::1]", 3000, ""), "http://[::1]:3000");
  EXPECT_EQ(url("api.example.org", 443, "c.crt"), "https://api.example.org:443");
  EXPECT_EQ(url("127.0.0.1", 0, ""), "none");
}

TEST(Arguments, RefuseWrongUsageWithExitCode2) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{},
                                             {"nonsense"},
                                             {"run"},
                                             {"ps", "--status", "x"},
                                             {"run", "f", "--var", "novalue"},
                                             {"run", "f", "--label", "=x"},
                                             {"ps", "--server", "ftp://x"},
                                             {"ps", "--server", "x"},
                                             {"events", "ID", "--after", "-1"},
                                             {"config"}}) {
    const auto parsed = Parse(args);
    EXPECT_EQ(parsed.exit_code, 2) << (args.empty() ? "" : args[0]);
    EXPECT_FALSE(parsed.error.empty());
  }
  const auto help = Parse({"run", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.out.find("--detach"), std::string::npos);
}

TEST(ReadWorkflow, ReadsFilesOfItsFolderOnly) {
  std::string pattern = testing::TempDir() + "inline_XXXXXX";
  const std::filesystem::path dir = ::mkdtemp(pattern.data());
  std::filesystem::create_directories(dir / "w/prompts");
  std::ofstream(dir / "w/prompts/p.md") << "hello";
  std::ofstream(dir / "secret") << "s3cret";
  std::filesystem::create_symlink(dir / "secret", dir / "w/link");
  const auto read = [&](const std::string& reference) {
    std::ofstream(dir / "w/f.fabro") << "a [prompt=\"@" << reference << "\"]";
    return ReadWorkflow((dir / "w/f.fabro").string());
  };
  EXPECT_EQ(*read("prompts/p.md"), "a [prompt=\"hello\"]");
  EXPECT_EQ(*read("prompts/../prompts/p.md"), "a [prompt=\"hello\"]");
  for (const std::string& bad : {std::string("../secret"), std::string("link"), (dir / "secret").string(),
                                 std::string("prompts"), std::string("nowhere")}) {
    const auto result = read(bad);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(MessageOf(result.status()).find("s3cret"), std::string::npos);
  }
  std::filesystem::remove_all(dir);
}

Question Choice() {
  return {.id = "q-1",
          .type = "multiple_choice",
          .options = {{"A", "[A] Approve"}, {"R", "Revise"}},
          .stage = "gate"};
}

TEST(ParseAnswer, TakesKeysAndLabelsInAnyCase) {
  EXPECT_EQ(ParseAnswer(Choice(), " a ")->key, "A");
  EXPECT_EQ(ParseAnswer(Choice(), "revise")->key, "R");
  EXPECT_EQ(ParseAnswer(Choice(), "[A] Approve")->key, "A");
  EXPECT_EQ(MessageOf(ParseAnswer(Choice(), "x").status()), "\"x\" is none of the options: A, R");
  EXPECT_FALSE(ParseAnswer(Choice(), "").ok());
}

TEST(ParseAnswer, TakesTextOnlyWhereTheQuestionDoes) {
  Question question = Choice();
  question.allow_freeform = true;
  EXPECT_EQ(ParseAnswer(question, "make it blue")->text, "make it blue");
  EXPECT_EQ(ParseAnswer(question, "r")->key, "R");
  const Question freeform{.id = "q", .type = "freeform", .allow_freeform = true};
  EXPECT_EQ(ParseAnswer(freeform, "anything")->text, "anything");
  EXPECT_FALSE(ParseAnswer(freeform, "  ").ok());
}

TEST(ParseAnswer, TakesSeveralOfAMultiSelect) {
  Question question = Choice();
  question.type = "multi_select";
  EXPECT_EQ(ParseAnswer(question, "r, A,r")->keys, (std::vector<std::string>{"R", "A"}));
  EXPECT_FALSE(ParseAnswer(question, "a,x").ok());
  EXPECT_FALSE(ParseAnswer(question, ",").ok());
}

TEST(PreparedAnswers, GoToTheirQuestionElseToTheNext) {
  PreparedAnswers answers({"first", "gate=G", "q-9=N", "second=not an id!=x"});
  const Question gate = Choice();
  const Question other{.id = "q-2", .stage = "other"};
  EXPECT_EQ(answers.Take(gate), "G");
  EXPECT_EQ(answers.Take(other), "first");
  EXPECT_EQ(answers.Take(gate), "G");
  EXPECT_EQ(answers.Take({.id = "q-9", .stage = "x"}), "N");
  EXPECT_EQ(answers.Take(other), std::nullopt);
}

TEST(ShowOptions, ShowsContextOptionsAndHow) {
  Question question = Choice();
  question.context = "a\nb\x1b[2J";
  question.default_choice = "R";
  question.allow_freeform = true;
  std::string out;
  for (const Line& line : ShowOptions(question, {})) out += PlainText(line) + "\n";
  EXPECT_EQ(out,
            "    | a\n    | b\n    [A] Approve\n    [R] Revise  (taken if nobody answers in time)\n"
            "    or answer with a text\n");
}

}  // namespace
}  // namespace fabro::cli
