// The OpenAPI document as the program makes it, beside the one that is committed and linted.
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gateway/openapi/document.h"
#include "gateway/route/route_table.h"
#include "proto/api.h"

namespace fabro::openapi {
namespace {

constexpr char kGolden[] = "tests/contract/openapi.json";

TEST(OpenApiDocument, IsTheOneThatIsCommitted) {
  const auto table =
      route::RouteTable::Build(api::Services(), google::protobuf::MessageFactory::generated_factory());
  ASSERT_TRUE(table.ok());
  const std::string text = MakeDocument(**table, {.pretty = true}) + "\n";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(kGolden) << text;
  std::stringstream golden;
  golden << std::ifstream(kGolden).rdbuf();
  // Line by line, so that a failure shows the difference and not the document.
  std::stringstream now(text);
  std::string old_line, new_line;
  for (int line = 1; std::getline(now, new_line); ++line) {
    std::getline(golden, old_line);
    ASSERT_EQ(new_line, old_line)
        << kGolden << ":" << line
        << ": the API has changed. If that is meant: UPDATE_GOLDEN=1 and look at the diff";
  }
  EXPECT_FALSE(std::getline(golden, old_line)) << kGolden << " goes on";
}

}  // namespace
}  // namespace fabro::openapi
