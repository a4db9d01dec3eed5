// Every rule has a file in golden/: sources and the diagnostics they give. UPDATE_GOLDEN=1 writes what is
// given now.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/workflow/rules.h"
#include "tests/core/workflow/load_test_support.h"

namespace fabro::workflow {
namespace {

constexpr std::string_view kFolder = "tests/core/workflow/golden/";
constexpr std::string_view kCase = "=== ";           // "=== what it shows [options]"
constexpr std::string_view kExpected = "--- gives";  // between the source and its diagnostics

std::vector<std::string> AllRules() {
  std::vector<std::string> rules;
  for (int i = 0; i <= static_cast<int>(Rule::kMoreDiagnostics); ++i) {
    rules.emplace_back(ToString(static_cast<Rule>(i)));
  }
  return rules;
}

std::string DiagnosticsOf(std::string_view title, std::string_view source) {
  const MapFileReader files({{"plan.md", "Plan it."}, {"binary", std::string("a\0b", 3)}});
  LoadOptions options;
  if (title.find("[files]") != std::string_view::npos) options.files = &files;
  if (title.find("[strict]") != std::string_view::npos) options.undefined_variables_are_errors = true;
  if (title.find("[models]") != std::string_view::npos) {
    options.is_known_model = [](std::string_view model) { return model == "opus"; };
  }
  const Variables variables{{"word", "value"}, {"lines", "one\ntwo"}};
  const LoadResult result = LoadWorkflow(source, variables, options);
  EXPECT_EQ(result.graph == nullptr, HasErrors(result.diagnostics)) << title;
  const std::string rendered = Render(result.diagnostics);
  return rendered.empty() ? "nothing\n" : rendered;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, DiagnosticsAreAsWritten) {
  const std::string path = StrCat(kFolder, GetParam(), ".golden");
  std::ifstream in(path);
  ASSERT_TRUE(in) << path << " is missing";
  std::string written;
  std::string actual;
  std::string title;
  std::string source;
  bool in_source = false;
  bool names_rule = false;
  for (std::string line; std::getline(in, line);) {
    written += line + "\n";
    if (line.starts_with(kCase)) {
      title = line;
      source.clear();
      in_source = true;
      actual += line + "\n";
    } else if (line == kExpected) {
      const std::string diagnostics = DiagnosticsOf(title, source);
      names_rule = names_rule || diagnostics.find(StrCat(" ", GetParam())) != std::string::npos;
      actual += StrCat(source, kExpected, "\n", diagnostics);
      in_source = false;
    } else if (in_source) {
      source += line + "\n";
    }
  }
  EXPECT_TRUE(names_rule) << "no case in " << path << " breaks the rule it is named for";
  if (std::getenv("UPDATE_GOLDEN")) {
    std::ofstream(path) << actual;
  } else {
    EXPECT_EQ(written, actual) << "UPDATE_GOLDEN=1 accepts the difference";
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, Golden, testing::ValuesIn(AllRules()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace fabro::workflow
