// Plays every story under tests/scenario and compares what happens with what the story says. UPDATE_GOLDEN=1
// writes what happens into the stories instead; read the difference before committing it. The format is in
// README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/strings.h"
#include "core/workflow/load.h"
#include "tests/scenario/checks.h"
#include "tests/scenario/player.h"

namespace fabro::scenario {
namespace {

constexpr std::string_view kFolder = "tests/scenario";
constexpr std::string_view kLine = "---\n";

std::vector<std::string> FindStories() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") {
      paths.push_back(entry.path().string());
    }
  }
  std::ranges::sort(paths);
  return paths;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

bool IsInput(std::string_view line) { return !line.empty() && line.front() != ' ' && line.front() != '#'; }

// Plays the script: inputs, comments and blank lines stay, what the story expected is replaced by what
// happens.
std::string PlayScript(Player& player, std::string_view script) {
  std::string out;
  for (const std::string_view line : Split(script, '\n')) {
    if (line.starts_with(' ')) continue;
    out += StrCat(line, "\n");
    if (!IsInput(line)) continue;
    for (const std::string& said : player.Play(line)) out += StrCat("  ", said, "\n");
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

class Story : public ::testing::TestWithParam<std::string> {};

TEST_P(Story, HappensAsWritten) {
  const std::string text = ReadFile(GetParam());
  const std::size_t line = text.find(kLine);
  ASSERT_NE(line, std::string::npos) << "no line of three hyphens between the workflow and the script";
  const std::string head = text.substr(0, line + kLine.size());
  const workflow::LoadResult loaded = workflow::LoadWorkflow(text.substr(0, line), {}, {});
  ASSERT_NE(loaded.graph, nullptr) << workflow::JoinMessages(loaded.diagnostics);

  Player player(loaded.graph);
  const std::string happened = head + PlayScript(player, std::string_view(text).substr(head.size()));
  EXPECT_EQ(happened.find("\n  error"), std::string::npos) << happened;
  CheckInvariants(player);
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(GetParam(), std::ios::binary) << happened;
  } else {
    EXPECT_EQ(happened, text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Story, ::testing::ValuesIn(FindStories()), [](const auto& info) {
  std::string name = info.param.substr(kFolder.size() + 1);
  std::erase_if(name, [](char c) { return c == '.'; });
  std::ranges::replace_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace fabro::scenario
