#include "gateway/openapi/document.h"

#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"
#include "gateway/route/route_table.h"
#include "proto/api.h"

namespace fabro::openapi {
namespace {

using Json = nlohmann::ordered_json;

const route::RouteTable& Table() {
  static const auto table =
      route::RouteTable::Build(api::Services(), google::protobuf::MessageFactory::generated_factory());
  FABRO_CHECK(table.ok());
  return **table;
}

Json Document() { return Json::parse(MakeDocument(Table(), {})); }

// Calls `visit` with every object of the document.
void Walk(const Json& node, const std::function<void(const Json&)>& visit) {
  if (node.is_object()) visit(node);
  if (node.is_structured()) {
    for (const Json& child : node) Walk(child, visit);
  }
}

TEST(OpenApiDocument, SaysTheSameWithAndWithoutLineBreaks) {
  EXPECT_EQ(Document(), Json::parse(MakeDocument(Table(), {.pretty = true})));
}

TEST(OpenApiDocument, NamesTheServer) {
  EXPECT_EQ(Document()["servers"][0]["url"], "/");
  const Json document = Json::parse(MakeDocument(Table(), {.base_url = "https://fabro.example/x"}));
  EXPECT_EQ(document["servers"][0]["url"], "https://fabro.example/x");
}

TEST(OpenApiDocument, ResolvesAllItsReferences) {
  const Json document = Document();
  int count = 0;
  Walk(document, [&](const Json& object) {
    if (!object.contains("$ref")) return;
    const std::string reference = object["$ref"];
    EXPECT_TRUE(document.contains(Json::json_pointer(reference.substr(1)))) << reference;
    ++count;
  });
  EXPECT_GT(count, 500);
}

TEST(OpenApiDocument, SaysWhichRoleAnOperationNeeds) {
  const Json document = Document();
  EXPECT_EQ(document["paths"]["/runs"]["get"]["x-fabro-role"], "viewer");
  EXPECT_EQ(document["paths"]["/runs"]["post"]["x-fabro-role"], "operator");
  EXPECT_EQ(document["paths"]["/runs/{id}"]["delete"]["x-fabro-role"], "admin");
  EXPECT_FALSE(document["paths"]["/health"]["get"].contains("x-fabro-role"));
}

TEST(OpenApiDocument, GivesEveryOperationANameOfItsOwn) {
  const Json document = Document();
  std::set<std::string> names;
  for (const auto& [path, operations] : document["paths"].items()) {
    for (const auto& [verb, operation] : operations.items()) {
      EXPECT_TRUE(names.insert(operation["operationId"]).second) << operation["operationId"];
    }
  }
  EXPECT_TRUE(names.contains("startRun"));
  EXPECT_TRUE(names.contains("streamRunEvents"));
  EXPECT_TRUE(names.contains("createCompletion"));
}

TEST(OpenApiDocument, HasATextForEverything) {
  const Json document = Document();
  for (const Json& tag : document["tags"]) EXPECT_NE(tag["description"], "") << tag["name"];
  for (const auto& [name, schema] : document["components"]["schemas"].items()) {
    EXPECT_NE(schema.value("description", ""), "") << name;
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [key, property] : properties.items()) {
      const bool is_tag = property.contains("enum") && property["enum"].size() == 1;
      EXPECT_TRUE(is_tag || property.value("description", "") != "") << name << "." << key;
    }
  }
  for (const auto& [path, operations] : document["paths"].items()) {
    for (const auto& [verb, operation] : operations.items()) EXPECT_NE(operation["description"], "") << path;
  }
}

TEST(OpenApiDocument, MergesTheMethodsOfOneRoute) {
  const Json document = Document();
  const Json& events = document["paths"]["/runs/{id}/events"]["get"];
  EXPECT_EQ(events["operationId"], "streamRunEvents");
  const Json& content = events["responses"]["200"]["content"];
  EXPECT_TRUE(content.contains("text/event-stream"));
  EXPECT_EQ(content["application/json"]["schema"]["$ref"], "#/components/schemas/PaginatedEventList");
}

TEST(OpenApiDocument, OpensOnlyWhatIsOpen) {
  const Json document = Document();
  std::set<std::string> open;
  for (const auto& [path, operations] : document["paths"].items()) {
    for (const auto& [verb, operation] : operations.items()) {
      if (operation.contains("security")) open.insert(path);
    }
  }
  EXPECT_EQ(open, (std::set<std::string>{"/", "/health", "/health/live", "/health/ready", "/openapi.json"}));
}

TEST(OpenApiDocument, LeavesOutOfABodyWhatComesFromElsewhere) {
  const Json document = Document();
  const Json& steer = document["components"]["schemas"]["SteerRequest"];
  EXPECT_FALSE(steer["properties"].contains("id"));
  EXPECT_EQ(steer["required"], Json::array({"guidance"}));
  EXPECT_FALSE(
      document["components"]["schemas"]["StartRunRequest"]["properties"].contains("idempotency_key"));
}

}  // namespace
}  // namespace fabro::openapi
