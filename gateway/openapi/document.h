// The OpenAPI 3.1 description of every route, from the same shapes and routes that requests are served by;
// texts are the comments of the proto files.
#pragma once

#include <string>

namespace fabro::route {
class RouteTable;
}

namespace fabro::openapi {

struct Options {
  std::string base_url;  // the one entry of `servers`; empty: "/"
  bool pretty = false;   // with line breaks and indents
};

// JSON text. Takes some tens of milliseconds: make it on first use, not at start-up.
std::string MakeDocument(const route::RouteTable& table, const Options& options);

}  // namespace fabro::openapi
