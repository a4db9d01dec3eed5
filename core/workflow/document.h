// A source after parsing: who is there and what was written about it, scopes and defaults already applied;
// nothing is typed yet.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "core/workflow/graph.h"

namespace fabro::workflow {

struct AttributeValue {
  std::string text;
  std::size_t offset = 0;  // of the attribute's name
};
using AttributeMap = std::map<std::string, AttributeValue, std::less<>>;  // by canonical name

struct DocumentNode {
  std::string id;
  AttributeMap attributes;
  std::vector<std::string> classes;  // of the subgraphs around it
  std::size_t offset = 0;
};

struct DocumentEdge {
  NodeIndex from = 0;
  NodeIndex to = 0;
  AttributeMap attributes;
  std::size_t offset = 0;
};

struct Document {
  std::string name;
  AttributeMap attributes;
  AttributeMap subgraph_attributes;  // what subgraphs set beside their label: it has no meaning
  std::vector<DocumentNode> nodes;
  std::vector<DocumentEdge> edges;
};

}  // namespace fabro::workflow
