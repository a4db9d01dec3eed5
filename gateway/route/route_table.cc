#include "gateway/route/route_table.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "gateway/json/encode.h"
#include "gateway/route/table_node.h"

namespace fabro::route {
namespace {

constexpr std::string_view kAliasPrefix = "/api/v1";  // newer clients of the published API call it by this
constexpr std::size_t kMaxSegments = 32;

std::string_view MediaType(std::string_view range) { return Trim(range.substr(0, range.find(';'))); }

// Whether Accept names the media type itself, and not an event stream before it.
bool Accepts(std::string_view accept, std::string_view media_type) {
  for (const std::string_view range : Split(accept, ',')) {
    if (EqualsIgnoreCase(MediaType(range), media_type)) return true;
    if (EqualsIgnoreCase(MediaType(range), "text/event-stream")) return false;
  }
  return false;
}

bool IsSelected(const Route& route, std::string_view accept, const json::Document* body) {
  if (!route.accept.empty()) return Accepts(accept, route.accept);
  if (route.select_field.empty()) return false;
  const std::optional<json::Node> member = body ? body->root().Find(route.select_field) : std::nullopt;
  if (!member || !member->is_bool()) return route.default_selected;
  return member->type() == json::Type::kTrue;
}

}  // namespace

bool Route::has_response_body() const {
  if (success == 204) return false;
  return success != 202 || output->descriptor->field_count() > 0;
}

std::string Route::Location(const google::protobuf::Message& response) const {
  std::string path;
  if (!location) return path;
  auto field = location_fields.begin();
  for (const Segment& segment : location->segments()) {
    path += '/';
    if (!segment.is_variable) {
      path += segment.text;
      continue;
    }
    const google::protobuf::Message* message = &response;
    for (const json::FieldShape* step : std::span(*field).first(field->size() - 1)) {
      message = &message->GetReflection()->GetMessage(*message, step->field);
    }
    std::string text;
    json::AppendText(*field->back(), *message, text);
    AppendPercentEncoded(path, text);
    ++field;
  }
  return path;
}

const Route& Endpoint::Choose(std::string_view accept, const json::Document* body) const {
  for (const std::unique_ptr<const Route>& route : routes_) {
    if (IsSelected(*route, accept, body)) return *route;
  }
  return *routes_.back();
}

// Finds the node that a path ends at. A literal is tried before a variable.
struct PathWalk {
  std::vector<std::string_view> segments;
  std::vector<std::string> decoded;  // of segments with escapes; reserved, so that views of it stay valid
  std::vector<std::string_view> variables;

  // False for a broken escape or bytes that are not UTF-8.
  bool Split(std::string_view path);
  template <typename Node>
  const Node* Walk(const Node& node, std::size_t index);
};

bool PathWalk::Split(std::string_view path) {
  segments = fabro::Split(path, '/');
  decoded.reserve(segments.size());
  for (std::string_view& segment : segments) {
    if (segment.find('%') != std::string_view::npos) {
      if (!PercentDecode(segment, false, decoded.emplace_back())) return false;
      segment = decoded.back();
    }
    if (!IsValidUtf8(segment)) return false;
  }
  return true;
}

template <typename Node>
const Node* PathWalk::Walk(const Node& node, std::size_t index) {
  if (index == segments.size()) return node.endpoints.empty() ? nullptr : &node;
  const std::string_view segment = segments[index];
  if (const auto at = node.literals.find(segment); at != node.literals.end()) {
    if (const Node* found = Walk(*at->second, index + 1)) return found;
  }
  if (node.variable == nullptr || segment.empty()) return nullptr;
  variables.push_back(segment);
  const Node* found = Walk(*node.variable, index + 1);
  if (found == nullptr) variables.pop_back();
  return found;
}

RouteTable::RouteTable() : root_(std::make_unique<Node>()) {}
RouteTable::~RouteTable() = default;

absl::StatusOr<Match> RouteTable::Find(std::string_view verb, std::string_view path) const {
  if (path.starts_with(kAliasPrefix)) {
    const std::string_view rest = path.substr(kAliasPrefix.size());
    if (rest.empty() || rest.starts_with('/')) path = rest.empty() ? "/" : rest;
  }
  Match match;
  if (!path.starts_with('/')) return match;
  PathWalk walk;
  const Node* node = root_.get();
  if (path != "/") {
    if (!walk.Split(path.substr(1))) {
      return InvalidArgument(Reason::kInvalidArgument, "",
                             "The path is not valid: an escape is broken, or it is not UTF-8.");
    }
    if (walk.segments.size() > kMaxSegments) return match;
    node = walk.Walk(*root_, 0);
  }
  if (node == nullptr || node->endpoints.empty()) return match;
  match.allow = node->allow;
  match.endpoint = node->FindEndpoint(verb == "HEAD" ? "GET" : verb);
  match.variables.assign(walk.variables.begin(), walk.variables.end());
  return match;
}

}  // namespace fabro::route
