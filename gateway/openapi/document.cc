#include "gateway/openapi/document.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gateway/json/shape.h"
#include "gateway/openapi/comments.h"
#include "gateway/openapi/operations.h"
#include "gateway/openapi/schemas.h"
#include "gateway/openapi/value.h"
#include "gateway/route/route_table.h"
#include "proto/api.h"

namespace fabro::openapi {
namespace {

using route::Route;

Value Info() {
  Value license = Value::Object();
  license.Set("name", "Apache-2.0").Set("identifier", "Apache-2.0");
  Value info = Value::Object();
  info.Set("title", "Fabro Run API").Set("version", "0.1.0");
  info.Set(
      "description",
      "Starts workflow runs, follows them while they work, and lets people take part in them. Every error is "
      "an ErrorResponse. Lists are paginated by `page[limit]` and `page[offset]`.");
  return std::move(info.Set("license", std::move(license)));
}

Value Servers(const Options& options) {
  Value server = Value::Object();
  server.Set("url", options.base_url.empty() ? std::string("/") : options.base_url);
  return std::move(Value::Array().Add(std::move(server)));
}

Value Tags(const std::vector<const Route*>& routes, const Comments& comments) {
  Value tags = Value::Array();
  std::vector<std::string> seen;
  for (const Route* route : routes) {
    if (std::find(seen.begin(), seen.end(), route->tag) != seen.end()) continue;
    seen.push_back(route->tag);
    Value tag = Value::Object();
    tag.Set("name", route->tag).Set("description", comments.Of(route->method->service()->full_name()));
    tags.Add(std::move(tag));
  }
  return tags;
}

Value Security() {
  Value bearer = Value::Object();
  bearer.Set("BearerAuth", Value::Array());
  Value certificate = Value::Object();
  certificate.Set("mTLS", Value::Array());
  return std::move(Value::Array().Add(std::move(bearer)).Add(std::move(certificate)));
}

Value SecuritySchemes() {
  Value bearer = Value::Object();
  bearer.Set("type", "http").Set("scheme", "bearer").Set("bearerFormat", "JWT");
  bearer.Set("description", "A token signed with Ed25519; its subject is the user.");
  Value certificate = Value::Object();
  certificate.Set("type", "mutualTLS");
  certificate.Set("description",
                  "A client certificate that the server's authority signed; its common name is the user.");
  Value schemes = Value::Object();
  return std::move(schemes.Set("BearerAuth", std::move(bearer)).Set("mTLS", std::move(certificate)));
}

// Routes of the same verb and path as one list, the one that is taken otherwise first.
std::vector<const Route*> Together(const Route& route, const std::vector<const Route*>& all) {
  std::vector<const Route*> same;
  for (const Route* other : all) {
    if (other->verb != route.verb || other->path.Pattern() != route.path.Pattern()) continue;
    const bool is_default = other->accept.empty() && other->select_field.empty();
    same.insert(is_default ? same.begin() : same.end(), other);
  }
  return same;
}

std::string Lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Value Paths(const std::vector<const Route*>& routes, const Schemas& schemas, const Comments& comments) {
  Value paths = Value::Object();
  for (const Route* route : routes) {
    const std::vector<const Route*> together = Together(*route, routes);
    if (together.front() != route) continue;
    const std::string text = PathText(*route);
    if (paths.Find(text) == nullptr) paths.Set(text, Value::Object());
    paths.Find(text)->Set(Lower(route->verb), Operation(together, schemas, comments));
  }
  return paths;
}

}  // namespace

std::string MakeDocument(const route::RouteTable& table, const Options& options) {
  const Comments comments(api::DescriptorSet());
  const google::protobuf::Descriptor* error =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName("fabro.v1.ErrorResponse");
  FABRO_CHECK(error != nullptr);  // no method returns it, but every answer that is an error has it
  const auto errors = json::Shapes::Build({error}, google::protobuf::MessageFactory::generated_factory());
  FABRO_CHECK(errors.ok());
  Schemas schemas(comments);
  schemas.UseAsResponse(*(*errors)->Find(error));
  for (const Route* route : table.routes()) UseBodies(*route, schemas);

  Value components = Value::Object();
  components.Set("securitySchemes", SecuritySchemes());
  components.Set("responses", ErrorResponses(table.routes()));
  components.Set("schemas", schemas.Components());
  Value document = Value::Object();
  document.Set("openapi", "3.1.0").Set("info", Info()).Set("servers", Servers(options));
  document.Set("tags", Tags(table.routes(), comments)).Set("security", Security());
  document.Set("paths", Paths(table.routes(), schemas, comments));
  document.Set("components", std::move(components));
  std::string text;
  document.AppendTo(text, options.pretty ? 0 : -1);
  return text;
}

}  // namespace fabro::openapi
