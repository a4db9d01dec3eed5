// Every REST route of the API, compiled from the services' descriptors. Built once; immutable, so any thread
// may read.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/json/reader.h"
#include "gateway/json/shape.h"
#include "gateway/route/path_template.h"

namespace google::protobuf {
class MethodDescriptor;
class ServiceDescriptor;
}  // namespace google::protobuf

namespace fabro::route {

// A field reached from a message through zero or more message fields; never empty. The last one is the field
// itself.
using FieldPath = std::vector<const json::FieldShape*>;

// Something of a request that is bound to a field.
struct Parameter {
  std::string name;  // as clients spell it: "id", "page[limit]", "Last-Event-ID"
  FieldPath field;
  const json::FieldShape& leaf() const { return *field.back(); }
};

// One method behind one verb and path.
struct Route {
  const google::protobuf::MethodDescriptor* method = nullptr;
  std::string grpc_path;  // "/fabro.v1.RunService/GetRun"
  std::string tag;        // the service's, for OpenAPI
  std::string verb;       // "GET"
  PathTemplate path;
  const json::Shape* input = nullptr;  // its prototype makes request messages
  const json::Shape* output = nullptr;

  std::vector<Parameter> path_parameters;  // in the order of the path's variables
  std::vector<Parameter> query_parameters;
  std::vector<Parameter> header_parameters;
  bool has_body = false;                             // the request has a JSON body: the whole message ...
  const json::FieldShape* body_field = nullptr;      // ... or this field of it
  std::vector<const json::FieldShape*> not_in_body;  // bound to the path, so a body cannot set them
  const json::FieldShape* response_body = nullptr;   // this field alone is the answer's body
  std::vector<Parameter> response_headers;

  int success = 200;
  bool open = false;       // answered without credentials
  bool is_stream = false;  // server-sent events
  bool sse_named = false;
  const json::FieldShape* sse_id = nullptr;  // of the output
  std::optional<Parameter> sse_cursor;       // of the input
  bool sse_from_start = false;               // without the cursor a stream begins with its first message
  std::string content_type;                  // of an answer that is not JSON
  std::string accept;                        // chosen by this media type in Accept
  std::string select_field;                  // chosen by this boolean member of the body ...
  bool default_selected = false;             // ... which counts as true when absent
  std::optional<PathTemplate> location;      // of the Location header ...
  std::vector<FieldPath> location_fields;    // ... and the output's fields that its variables are
  std::chrono::milliseconds timeout{30000};  // not for streams
  std::vector<int> errors;                   // documented beyond the usual ones

  // An answer without body: 204, or 202 with an empty message.
  bool has_response_body() const;
  // The Location header's path for an answer, variables percent-encoded; empty when the route has none.
  std::string Location(const google::protobuf::Message& response) const;
};

// The routes that share a verb and a path; several only where Accept or a member of the body chooses between
// them.
class Endpoint {
 public:
  const std::vector<std::unique_ptr<const Route>>& routes() const { return routes_; }
  bool open() const { return routes_.front()->open; }          // the same for all
  bool has_body() const { return routes_.front()->has_body; }  // the same for all
  // `accept` is the header's value, empty when absent; `body` null when there is none.
  const Route& Choose(std::string_view accept, const json::Document* body) const;

 private:
  friend class RouteCompiler;
  std::vector<std::unique_ptr<const Route>> routes_;  // the one that is taken otherwise comes last
};

struct Match {
  const Endpoint* endpoint = nullptr;  // null: the path is unknown, or it does not know the verb
  std::string_view allow;  // "GET, HEAD, OPTIONS"; empty: the path is unknown. Lives as long as the table
  std::vector<std::string> variables;  // percent-decoded, valid UTF-8, in the order of the path

  bool path_known() const { return !allow.empty(); }
};

class RouteTable {
 public:
  // Compiles every service. All faults come back in one InvalidArgument, one a line: path variables that are
  // no scalar field, routes that clash, options that contradict each other, a method with neither a route nor
  // `internal`, enum values without a word, two fields of one JSON name.
  static absl::StatusOr<std::unique_ptr<const RouteTable>> Build(
      const std::vector<const google::protobuf::ServiceDescriptor*>& services,
      google::protobuf::MessageFactory* factory);

  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Finds by verb and raw path (no query). HEAD finds what GET finds; OPTIONS finds no endpoint but fills
  // `allow`. A path may begin with the alias prefix "/api/v1". InvalidArgument: an escape in the path is
  // broken or not UTF-8.
  absl::StatusOr<Match> Find(std::string_view verb, std::string_view path) const;

  // Every route, in the order of the services and their methods.
  const std::vector<const Route*>& routes() const { return routes_; }
  const json::Shapes& shapes() const { return *shapes_; }

 private:
  struct Node;
  friend class RouteCompiler;
  RouteTable();
  std::unique_ptr<const json::Shapes> shapes_;
  std::unique_ptr<Node> root_;
  std::vector<const Route*> routes_;
};

}  // namespace fabro::route
