// RouteTable::Build: from service descriptors and their options to routes.
#include <google/api/annotations.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "fabro/api/v1/annotations.pb.h"
#include "gateway/route/route_table.h"
#include "gateway/route/table_node.h"

namespace fabro::route {
namespace {

namespace pb = google::protobuf;

constexpr std::array<std::string_view, 7> kVerbs{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

struct VerbAndPath {
  std::string_view verb;
  std::string_view path;
};

VerbAndPath PatternOf(const google::api::HttpRule& rule) {
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      return {"GET", rule.get()};
    case google::api::HttpRule::kPut:
      return {"PUT", rule.put()};
    case google::api::HttpRule::kPost:
      return {"POST", rule.post()};
    case google::api::HttpRule::kDelete:
      return {"DELETE", rule.delete_()};
    case google::api::HttpRule::kPatch:
      return {"PATCH", rule.patch()};
    default:
      return {};
  }
}

bool IsText(const json::FieldShape& field) {
  return field.kind != json::Kind::kMessage && field.kind != json::Kind::kStruct &&
         field.kind != json::Kind::kValue && field.kind != json::Kind::kListValue &&
         field.repeat != json::Repeat::kMap;
}

bool IsDefault(const std::unique_ptr<const Route>& route) {
  return route->accept.empty() && route->select_field.empty();
}

bool IsScalar(const json::FieldShape& field) { return IsText(field) && field.repeat == json::Repeat::kOne; }

}  // namespace

class RouteCompiler {
 public:
  // `faults` are those of the shapes.
  RouteCompiler(RouteTable& table, std::vector<std::string> faults)
      : table_(table), faults_(std::move(faults)) {}

  void Compile(const pb::MethodDescriptor& method);
  void Finish();
  absl::Status status() const {
    if (faults_.empty()) return absl::OkStatus();
    return InvalidArgument(Reason::kInvalidArgument, "proto options", Join(faults_, "\n"));
  }

 private:
  using Node = RouteTable::Node;

  void Fault(std::string_view where, std::string_view what) { faults_.push_back(StrCat(where, ": ", what)); }
  void CompileBinding(const pb::MethodDescriptor& method, const google::api::HttpRule& rule);
  void BindPath(Route& route, const std::string& where);
  void BindBody(Route& route, const google::api::HttpRule& rule, const std::string& where);
  void BindParameters(Route& route, const std::string& where);
  void CollectParameters(Route& route, const json::Shape& shape, FieldPath prefix);
  void CompileAnswer(Route& route, const google::api::HttpRule& rule, const api::v1::Route& options,
                     const std::string& where);
  void CompileStream(Route& route, const api::v1::Route& options, const std::string& where);
  void CompileChoice(Route& route, const api::v1::Route& options, const std::string& where);
  FieldPath Resolve(const json::Shape& shape, std::string_view dotted) const;  // empty: no such field
  void Insert(std::unique_ptr<const Route> route, const std::string& where);
  void CheckEndpoint(const Endpoint& endpoint);
  void FinishNode(Node& node);

  RouteTable& table_;
  std::vector<std::string> faults_;
};

void RouteCompiler::Compile(const pb::MethodDescriptor& method) {
  const google::api::HttpRule& rule = method.options().GetExtension(google::api::http);
  const bool has_rule = method.options().HasExtension(google::api::http);
  const bool internal = method.options().GetExtension(api::v1::route).internal();
  if (internal && has_rule) return Fault(method.full_name(), "is internal, but has a REST route");
  if (internal) return;
  if (!has_rule) return Fault(method.full_name(), "has neither a REST route nor the option internal");
  CompileBinding(method, rule);
  for (const google::api::HttpRule& more : rule.additional_bindings()) CompileBinding(method, more);
}

void RouteCompiler::CompileBinding(const pb::MethodDescriptor& method, const google::api::HttpRule& rule) {
  const std::string& where = method.full_name();
  const api::v1::Route& options = method.options().GetExtension(api::v1::route);
  const auto [verb, path] = PatternOf(rule);
  if (verb.empty()) return Fault(where, "the verb is none of get, put, post, delete, patch");
  absl::StatusOr<PathTemplate> parsed = PathTemplate::Parse(path);
  if (!parsed.ok()) return Fault(where, MessageOf(parsed.status()));
  if (method.client_streaming()) return Fault(where, "a stream of requests has no REST form");

  auto route = std::make_unique<Route>();
  route->method = &method;
  route->grpc_path = StrCat('/', method.service()->full_name(), '/', method.name());
  route->tag = method.service()->options().GetExtension(api::v1::service).tag();
  route->verb = verb;
  route->path = *std::move(parsed);
  route->input = table_.shapes_->Find(method.input_type());
  route->output = table_.shapes_->Find(method.output_type());
  route->open = options.open();
  if (options.timeout_ms() != 0) route->timeout = std::chrono::milliseconds(options.timeout_ms());
  if (route->tag.empty()) Fault(where, "its service has no tag");
  BindPath(*route, where);
  BindBody(*route, rule, where);
  BindParameters(*route, where);
  CompileAnswer(*route, rule, options, where);
  CompileStream(*route, options, where);
  CompileChoice(*route, options, where);
  Insert(std::move(route), where);
}

FieldPath RouteCompiler::Resolve(const json::Shape& shape, std::string_view dotted) const {
  FieldPath path;
  const json::Shape* at = &shape;
  for (const std::string_view name : Split(dotted, '.')) {
    const json::FieldShape* field = at == nullptr ? nullptr : at->FindField(name);
    if (field == nullptr || field->repeat != json::Repeat::kOne) return {};
    path.push_back(field);
    at = field->kind == json::Kind::kMessage ? field->message : nullptr;
  }
  return path;
}

void RouteCompiler::BindPath(Route& route, const std::string& where) {
  for (const std::string& variable : route.path.variables()) {
    FieldPath field = Resolve(*route.input, variable);
    if (field.empty() || !IsScalar(*field.back())) {
      Fault(where, StrCat("the path variable \"", variable, "\" is no scalar field of the request"));
      continue;
    }
    if (field.size() == 1) route.not_in_body.push_back(field.front());
    std::string name = field.back()->name;
    route.path_parameters.push_back({.name = std::move(name), .field = std::move(field)});
  }
}

void RouteCompiler::BindBody(Route& route, const google::api::HttpRule& rule, const std::string& where) {
  if (rule.body().empty()) return;
  route.has_body = true;
  if (route.verb == "GET" || route.verb == "DELETE") Fault(where, StrCat(route.verb, " has no body"));
  if (rule.body() == "*") return;
  route.body_field = route.input->FindField(rule.body());
  if (route.body_field == nullptr) Fault(where, StrCat("the body field \"", rule.body(), "\" is unknown"));
}

void RouteCompiler::BindParameters(Route& route, const std::string& where) {
  CollectParameters(route, *route.input, {});
  const auto check = [&](const std::vector<Parameter>& parameters, bool ignore_case) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!IsText(parameters[i].leaf())) {
        Fault(where,
              StrCat("the parameter \"", parameters[i].name, "\" is neither a scalar nor a list of them"));
      }
      for (std::size_t j = 0; j < i; ++j) {
        const bool same = ignore_case ? EqualsIgnoreCase(parameters[i].name, parameters[j].name)
                                      : parameters[i].name == parameters[j].name;
        if (same) Fault(where, StrCat("two parameters are called \"", parameters[i].name, "\""));
      }
    }
  };
  check(route.query_parameters, false);
  check(route.header_parameters, true);
}

void RouteCompiler::CollectParameters(Route& route, const json::Shape& shape, FieldPath prefix) {
  for (const json::FieldShape& field : shape.fields) {
    FieldPath path = prefix;
    path.push_back(&field);
    const bool in_path = std::any_of(route.path_parameters.begin(), route.path_parameters.end(),
                                     [&](const Parameter& p) { return p.field == path; });
    if (in_path) continue;
    if (field.flatten && field.kind == json::Kind::kMessage && path.size() < 8) {
      CollectParameters(route, *field.message, std::move(path));
      continue;
    }
    const bool by_name = !route.has_body && prefix.empty() && field.header.empty() && field.query.empty() &&
                         field.response_header.empty() && IsText(field);
    if (by_name || !field.query.empty()) {
      route.query_parameters.push_back({.name = by_name ? field.name : field.query, .field = path});
    }
    if (!field.header.empty()) route.header_parameters.push_back({.name = field.header, .field = path});
  }
}

void RouteCompiler::CompileAnswer(Route& route, const google::api::HttpRule& rule,
                                  const api::v1::Route& options, const std::string& where) {
  if (options.success() != 0) route.success = static_cast<int>(options.success());
  if (route.success < 200 || route.success > 299) Fault(where, "the success status is not 2xx");
  for (const std::uint32_t status : options.errors()) {
    if (status < 400 || status > 599) Fault(where, StrCat(status, " is no error status"));
    route.errors.push_back(static_cast<int>(status));
  }
  for (const json::FieldShape& field : route.output->fields) {
    if (field.response_header.empty()) continue;
    if (!IsScalar(field))
      Fault(where, StrCat("the response header ", field.response_header, " is no scalar"));
    route.response_headers.push_back({.name = field.response_header, .field = {&field}});
  }
  if (!rule.response_body().empty()) {
    route.response_body = route.output->FindField(rule.response_body());
    if (route.response_body == nullptr) {
      Fault(where, StrCat("the response body field \"", rule.response_body(), "\" is unknown"));
    }
  }
  route.content_type = options.content_type();
  if (!route.content_type.empty()) {
    const bool is_text =
        route.response_body != nullptr && route.response_body->repeat == json::Repeat::kOne &&
        (route.response_body->kind == json::Kind::kString || route.response_body->kind == json::Kind::kBytes);
    if (!is_text) Fault(where, "a content type needs a string or bytes field as response_body");
  }
  if (options.location().empty()) return;
  absl::StatusOr<PathTemplate> location = PathTemplate::Parse(options.location());
  if (!location.ok()) return Fault(where, MessageOf(location.status()));
  for (const std::string& variable : location->variables()) {
    route.location_fields.push_back(Resolve(*route.output, variable));
    if (route.location_fields.back().empty() || !IsScalar(*route.location_fields.back().back())) {
      Fault(where, StrCat("the location's variable \"", variable, "\" is no scalar field of the response"));
    }
  }
  route.location = *std::move(location);
}

void RouteCompiler::CompileStream(Route& route, const api::v1::Route& options, const std::string& where) {
  route.is_stream = options.stream() == api::v1::Route::STREAM_SSE;
  if (route.is_stream != route.method->server_streaming()) {
    Fault(where, "the option stream and the method's returns disagree");
  }
  const bool has_sse =
      options.sse_named() || !options.sse_id_field().empty() || !options.sse_cursor_field().empty();
  if (has_sse && !route.is_stream) Fault(where, "has options of an event stream, but is none");
  route.sse_named = options.sse_named();
  if (route.sse_named && route.output->tags.empty())
    Fault(where, "sse_named needs a tagged oneof in the message");
  if (!options.sse_id_field().empty()) {
    route.sse_id = route.output->FindField(options.sse_id_field());
    if (route.sse_id == nullptr || !IsScalar(*route.sse_id)) {
      Fault(where,
            StrCat("the frame id \"", options.sse_id_field(), "\" is no scalar field of the response"));
    }
  }
  route.sse_from_start = options.sse_from_start();
  if (options.sse_cursor_field().empty()) return;
  FieldPath cursor = Resolve(*route.input, options.sse_cursor_field());
  if (cursor.empty() || !IsScalar(*cursor.back())) {
    return Fault(where,
                 StrCat("the cursor \"", options.sse_cursor_field(), "\" is no scalar field of the request"));
  }
  route.sse_cursor = Parameter{.name = options.sse_cursor_field(), .field = std::move(cursor)};
}

void RouteCompiler::CompileChoice(Route& route, const api::v1::Route& options, const std::string& where) {
  route.accept = options.accept();
  route.default_selected = options.default_selected();
  if (!route.accept.empty() && !options.select_field().empty()) {
    Fault(where, "accept and select_field exclude each other");
  }
  if (options.select_field().empty()) {
    if (route.default_selected) Fault(where, "default_selected without select_field");
    return;
  }
  const json::FieldShape* field = route.input->FindField(options.select_field());
  if (field == nullptr || field->kind != json::Kind::kBool || field->repeat != json::Repeat::kOne ||
      !route.has_body || route.body_field != nullptr) {
    return Fault(where,
                 StrCat("select_field \"", options.select_field(), "\" is no boolean member of the body"));
  }
  route.select_field = field->name;
}

void RouteCompiler::Insert(std::unique_ptr<const Route> route, const std::string& where) {
  Node* node = table_.root_.get();
  for (const Segment& segment : route->path.segments()) {
    std::unique_ptr<Node>& next = segment.is_variable ? node->variable : node->literals[segment.text];
    if (next == nullptr) next = std::make_unique<Node>();
    node = next.get();
  }
  Endpoint* endpoint = node->FindEndpoint(route->verb);
  if (endpoint == nullptr) {
    endpoint = node->endpoints.emplace_back(route->verb, std::make_unique<Endpoint>()).second.get();
  }
  for (const std::unique_ptr<const Route>& other : endpoint->routes_) {
    if (other->accept == route->accept && other->select_field == route->select_field) {
      Fault(where, StrCat("has the same route as ", other->method->full_name()));
    }
    if (other->open != route->open || other->has_body != route->has_body) {
      Fault(where, StrCat("shares a route with ", other->method->full_name(),
                          ", but they differ in being open or in having a body"));
    }
  }
  table_.routes_.push_back(route.get());
  endpoint->routes_.push_back(std::move(route));
}

void RouteCompiler::CheckEndpoint(const Endpoint& endpoint) {
  if (std::any_of(endpoint.routes_.begin(), endpoint.routes_.end(), IsDefault)) return;
  Fault(endpoint.routes_.front()->method->full_name(), "no method of its route is the one taken otherwise");
}

void RouteCompiler::FinishNode(Node& node) {
  std::vector<std::string> allow;
  for (const std::string_view verb : kVerbs) {
    if (node.endpoints.empty()) break;
    if (verb == "OPTIONS" || node.FindEndpoint(verb == "HEAD" ? "GET" : verb) != nullptr)
      allow.emplace_back(verb);
  }
  node.allow = Join(allow, ", ");
  for (const auto& [verb, endpoint] : node.endpoints) {
    CheckEndpoint(*endpoint);
    std::vector<std::unique_ptr<const Route>>& routes = endpoint->routes_;
    const auto other = std::find_if(routes.begin(), routes.end(), IsDefault);
    if (other != routes.end()) std::rotate(other, other + 1, routes.end());
  }
  for (const auto& [literal, child] : node.literals) FinishNode(*child);
  if (node.variable != nullptr) FinishNode(*node.variable);
}

void RouteCompiler::Finish() { FinishNode(*table_.root_); }

absl::StatusOr<std::unique_ptr<const RouteTable>> RouteTable::Build(
    const std::vector<const pb::ServiceDescriptor*>& services, pb::MessageFactory* factory) {
  std::vector<const pb::MethodDescriptor*> methods;
  std::vector<const pb::Descriptor*> types;
  for (const pb::ServiceDescriptor* service : services) {
    for (int i = 0; i < service->method_count(); ++i) {
      methods.push_back(service->method(i));
      types.insert(types.end(), {service->method(i)->input_type(), service->method(i)->output_type()});
    }
  }
  // The faults of shapes and of routes come back together; routes need shapes, faulty or not.
  std::unique_ptr<RouteTable> table(new RouteTable());
  std::vector<std::string> shape_faults;
  table->shapes_ = json::Shapes::Compile(types, factory, shape_faults);
  RouteCompiler compiler(*table, std::move(shape_faults));
  for (const pb::MethodDescriptor* method : methods) compiler.Compile(*method);
  compiler.Finish();
  FABRO_RETURN_IF_ERROR(compiler.status());
  return std::unique_ptr<const RouteTable>(std::move(table));
}

}  // namespace fabro::route
