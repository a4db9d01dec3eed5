// Fills a request message from the parts of an HTTP request: body first, then path, query and headers, which
// a body cannot override. Faults name the parameter or the field's path; all of them come back in one
// InvalidArgument.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "gateway/json/reader.h"
#include "gateway/route/route_table.h"

namespace fabro::route {

struct RequestParts {
  std::span<const std::string> variables;  // Match::variables
  std::string_view query;                  // raw, without the question mark
  // The value of a request header by name (any case), nothing when absent. An empty value counts as absent.
  std::function<std::optional<std::string_view>(std::string_view name)> header;
  const json::Document* body = nullptr;  // null: no body was sent
};

// Unknown query parameters are ignored; a scalar one that appears twice is a fault; '+' is a space. A missing
// body leaves the message's fields unset (the core says which are required).
absl::Status Bind(const Route& route, const RequestParts& parts, google::protobuf::Message* request);

}  // namespace fabro::route
