#include "gateway/openapi/operations.h"

#include <google/protobuf/descriptor.h>

#include <array>
#include <set>
#include <string>
#include <utility>

#include "core/base/strings.h"
#include "fabro/api/v1/annotations.pb.h"

namespace fabro::openapi {
namespace {

using route::Parameter;
using route::Route;

struct ErrorText {
  int status;
  std::string_view name;  // of the component
  std::string_view description;
};
constexpr std::array<ErrorText, 17> kErrors{{
    {400, "BadRequest", "The request is not valid; one entry for each thing that is wrong."},
    {401, "Unauthorized", "No credentials, or bad ones."},
    {403, "Forbidden", "The caller is known, but not allowed."},
    {404, "NotFound", "There is no such thing."},
    {405, "MethodNotAllowed", "The path is known, the method is not."},
    {408, "RequestTimeout", "The request did not arrive in time."},
    {409, "Conflict", "The state of the thing forbids it."},
    {410, "Gone", "The event stream is closed."},
    {413, "ContentTooLarge", "The body is over the limit."},
    {415, "UnsupportedMediaType", "The body is not declared as JSON."},
    {422, "UnprocessableContent", "The request is understood, but cannot be carried out."},
    {429, "TooManyRequests", "A limit is reached; Retry-After says when to try again."},
    {500, "InternalServerError", "The server failed; the detail names the request."},
    {501, "NotImplemented", "This server does not have the operation yet."},
    {502, "BadGateway", "Something that the server relies on failed."},
    {503, "ServiceUnavailable", "The server is starting, stopping or not reachable; try again."},
    {504, "GatewayTimeout", "The answer did not come in time."},
}};

// "StartRun" -> "Start run".
std::string Summary(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !text.empty()) text += ' ';
    text += upper && !text.empty() ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

std::string OperationId(const std::string& name) {
  std::string text = name;
  if (text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

Value ParameterValue(const Parameter& parameter, std::string_view in, const Schemas& schemas,
                     const Comments& comments) {
  Value value = Value::Object();
  value.Set("name", parameter.name).Set("in", in);
  if (in == "path" || parameter.leaf().bounds.required) value.Set("required", Value::Bool(true));
  const std::string& comment = comments.Of(parameter.leaf().field->full_name());
  if (!comment.empty()) value.Set("description", comment);
  return std::move(value.Set("schema", schemas.Field(parameter.leaf(), true)));
}

Value Parameters(const std::vector<const Route*>& routes, const Schemas& schemas, const Comments& comments) {
  Value all = Value::Array();
  std::set<std::pair<std::string_view, std::string>> seen;
  const auto add = [&](const std::vector<Parameter>& parameters, std::string_view in) {
    for (const Parameter& parameter : parameters) {
      if (seen.emplace(in, parameter.name).second) all.Add(ParameterValue(parameter, in, schemas, comments));
    }
  };
  for (const Route* route : routes) {
    add(route->path_parameters, "path");
    add(route->query_parameters, "query");
    add(route->header_parameters, "header");
  }
  return all;
}

Value RequestBody(const Route& route, const Schemas& schemas) {
  Value media = Value::Object();
  media.Set("schema",
            route.body_field ? schemas.Field(*route.body_field, true) : schemas.Reference(*route.input));
  Value content = Value::Object();
  content.Set("application/json", std::move(media));
  return std::move(Value::Object().Set("required", Value::Bool(true)).Set("content", std::move(content)));
}

// The data of server-sent events has no place in OpenAPI 3.1: the schema is the text, and its parts are named
// beside.
Value EventStream(const Route& route, const Schemas& schemas) {
  Value data = Value::Object();
  if (route.sse_named) {
    for (const json::TagShape::Member& member : route.output->tags.front().members) {
      data.Set(member.word, schemas.Reference(*member.field->message));
    }
  } else {
    data = schemas.Reference(*route.output);
  }
  Value media = Value::Object();
  media.Set("schema", std::move(Value::Object().Set("type", "string")));
  return std::move(media.Set(route.sse_named ? "x-events" : "x-event-data", std::move(data)));
}

void AddContent(const Route& route, const Schemas& schemas, Value& content) {
  if (!route.has_response_body()) return;
  if (route.is_stream) {
    content.Set("text/event-stream", EventStream(route, schemas));
    return;
  }
  Value schema =
      route.response_body ? schemas.Field(*route.response_body, true) : schemas.Reference(*route.output);
  Value media = Value::Object();
  media.Set("schema", std::move(schema));
  content.Set(route.content_type.empty() ? "application/json" : route.content_type, std::move(media));
}

Value Success(const std::vector<const Route*>& routes, const Schemas& schemas, const Comments& comments) {
  const Route& first = *routes.front();
  Value headers = Value::Object();
  Value content = Value::Object();
  for (const Route* route : routes) {
    AddContent(*route, schemas, content);
    for (const Parameter& header : route->response_headers) {
      Value value = Value::Object();
      value.Set("description", comments.Of(header.leaf().field->full_name()));
      headers.Set(header.name, std::move(value.Set("schema", schemas.Field(header.leaf(), true))));
    }
    if (route->location) {
      Value value = Value::Object();
      value.Set("description", "Where the new thing is.");
      headers.Set("Location",
                  std::move(value.Set("schema", std::move(Value::Object().Set("type", "string")))));
    }
  }
  const std::string& comment = comments.Of(first.output->descriptor->full_name());
  Value response = Value::Object();
  response.Set("description", comment.empty() ? std::string("Success.") : comment);
  if (!headers.empty()) response.Set("headers", std::move(headers));
  if (!content.empty()) response.Set("content", std::move(content));
  return response;
}

std::set<int> ErrorStatuses(const std::vector<const Route*>& routes) {
  // Any request may be malformed, and any core may be away.
  std::set<int> statuses{400, 500, 503};
  for (const Route* route : routes) {
    statuses.insert(route->errors.begin(), route->errors.end());
    if (!route->open) statuses.insert({401, 403, 429, 501, 504});
    if (route->has_body) statuses.insert({413, 415});
  }
  return statuses;
}

Value Responses(const std::vector<const Route*>& routes, const Schemas& schemas, const Comments& comments) {
  Value responses = Value::Object();
  for (const Route* route : routes) {
    const std::string status = std::to_string(route->success);
    if (responses.Find(status) == nullptr) responses.Set(status, Success(routes, schemas, comments));
  }
  for (const int status : ErrorStatuses(routes)) {
    for (const ErrorText& error : kErrors) {
      if (error.status != status) continue;
      Value reference = Value::Object();
      reference.Set("$ref", StrCat("#/components/responses/", error.name));
      responses.Set(std::to_string(status), std::move(reference));
    }
  }
  return responses;
}

// "viewer"; empty where no role is needed.
std::string RoleText(const google::protobuf::MethodDescriptor& method) {
  const api::v1::Role role = method.options().GetExtension(api::v1::route).role();
  if (role == api::v1::ROLE_UNSPECIFIED) return "";
  return ToLower(api::v1::Role_Name(role).substr(sizeof("ROLE_") - 1));
}

}  // namespace

std::string PathText(const Route& route) {
  std::string text;
  auto parameter = route.path_parameters.begin();
  for (const route::Segment& segment : route.path.segments()) {
    text += segment.is_variable ? StrCat("/{", parameter->name, '}') : "/" + segment.text;
    if (segment.is_variable) ++parameter;
  }
  return text.empty() ? "/" : text;
}

void UseBodies(const Route& route, Schemas& schemas) {
  if (route.body_field != nullptr) {
    schemas.UseAsRequest(*route.body_field);
  } else if (route.has_body) {
    schemas.UseAsRequest(*route.input, route.not_in_body);
  }
  // Parameters refer to the schemas of their enums.
  for (const auto* parameters : {&route.path_parameters, &route.query_parameters, &route.header_parameters}) {
    for (const Parameter& parameter : *parameters) schemas.UseAsRequest(parameter.leaf());
  }
  if (!route.has_response_body()) return;
  if (route.sse_named) {
    schemas.UseMembers(*route.output);
  } else if (route.response_body != nullptr) {
    schemas.UseAsResponse(*route.response_body);
  } else {
    schemas.UseAsResponse(*route.output);
  }
}

Value Operation(const std::vector<const Route*>& routes, const Schemas& schemas, const Comments& comments) {
  const Route& first = *routes.front();
  Value operation = Value::Object();
  operation.Set("operationId", OperationId(first.method->name()));
  operation.Set("tags", std::move(Value::Array().Add(first.tag)));
  operation.Set("summary", Summary(first.method->name()));
  std::string description;
  for (const Route* route : routes) {
    if (!description.empty()) description += "\n\n";
    description += comments.Of(route->method->full_name());
    if (!route->accept.empty()) description += StrCat(" Taken when Accept names ", route->accept, '.');
  }
  operation.Set("description", description);
  if (first.open) operation.Set("security", Value::Array());
  if (const std::string role = RoleText(*first.method); !role.empty()) operation.Set("x-fabro-role", role);
  Value parameters = Parameters(routes, schemas, comments);
  if (!parameters.empty()) operation.Set("parameters", std::move(parameters));
  if (first.has_body) operation.Set("requestBody", RequestBody(first, schemas));
  return std::move(operation.Set("responses", Responses(routes, schemas, comments)));
}

Value ErrorResponses(const std::vector<const Route*>& routes) {
  const std::set<int> statuses = ErrorStatuses(routes);
  Value responses = Value::Object();
  for (const ErrorText& error : kErrors) {
    if (!statuses.contains(error.status)) continue;
    Value schema = Value::Object();
    schema.Set("$ref", "#/components/schemas/ErrorResponse");
    Value media = Value::Object();
    media.Set("schema", std::move(schema));
    Value content = Value::Object();
    content.Set("application/json", std::move(media));
    Value response = Value::Object();
    response.Set("description", error.description).Set("content", std::move(content));
    responses.Set(error.name, std::move(response));
  }
  return responses;
}

}  // namespace fabro::openapi
