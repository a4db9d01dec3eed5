// A step of the tree that paths are looked up in. Only route_table.cc and route_compiler.cc include this.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/route/route_table.h"

namespace fabro::route {

struct RouteTable::Node {
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::unique_ptr<Node>, Hash, std::equal_to<>> literals;
  std::unique_ptr<Node> variable;
  std::vector<std::pair<std::string, std::unique_ptr<Endpoint>>>
      endpoints;  // by verb; empty: no path ends here
  std::string allow;

  Endpoint* FindEndpoint(std::string_view verb) const {
    for (const auto& [known, endpoint] : endpoints) {
      if (known == verb) return endpoint.get();
    }
    return nullptr;
  }
};

}  // namespace fabro::route
