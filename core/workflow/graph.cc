#include "core/workflow/graph.h"

namespace fabro::workflow {

const Node* Graph::FindNode(std::string_view id) const {
  const auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : &nodes[found->second];
}

}  // namespace fabro::workflow
