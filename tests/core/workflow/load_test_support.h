// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/workflow/load.h"

namespace fabro::workflow {

// Files that exist only here.
class MapFileReader : public FileReader {
 public:
  explicit MapFileReader(std::map<std::string, std::string, std::less<>> files) : files_(std::move(files)) {}
  absl::StatusOr<std::string> Read(std::string_view path) const override {
    const auto found = files_.find(path);
    if (found == files_.end()) return NotFound(Reason::kNotFound, path, "no such file");
    return found->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> files_;
};

// "error start_node 3:1 node=a edge=a->b: message", one a line.
inline std::string Render(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& d : diagnostics) {
    out += StrCat(ToString(d.severity), " ", d.rule);
    if (d.line) out += StrCat(" ", *d.line, ":", *d.column);
    if (d.node_id) out += StrCat(" node=", *d.node_id);
    if (d.edge) out += StrCat(" edge=", d.edge->first, "->", d.edge->second);
    out += StrCat(": ", d.message, "\n");
  }
  return out;
}

// The graph of a source that must be without errors; null (and a failed test) otherwise.
inline std::shared_ptr<const Graph> LoadOrFail(std::string_view source, const Variables& variables = {},
                                               const LoadOptions& options = {}) {
  LoadResult result = LoadWorkflow(source, variables, options);
  EXPECT_TRUE(result.graph) << source << "\n" << Render(result.diagnostics);
  return result.graph;
}

// A graph around statements that need not care for start and exit: the nodes `s` and `e`.
inline std::string Around(std::string_view statements) {
  return StrCat("digraph { s [shape=Mdiamond] e [shape=Msquare]\n", statements, "\n}");
}

}  // namespace fabro::workflow
