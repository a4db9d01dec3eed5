// From source text to a graph that can run: the one entry for the server, its validation call and the command
// line.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/workflow/diagnostic.h"
#include "core/workflow/graph.h"

namespace fabro::workflow {

inline constexpr std::size_t kMaxSourceBytes = 1 << 20;  // before and after variables are replaced
inline constexpr std::size_t kMaxNodes = 10'000;
inline constexpr std::size_t kMaxEdges = 50'000;
inline constexpr int kMaxNesting = 64;               // the graph itself is 1
inline constexpr int kMaxRegexCost = 100'000;        // of a graph, see Condition::regex_cost
inline constexpr std::size_t kMaxDiagnostics = 100;  // a last one says that there were more

using Variables = std::map<std::string, std::string, std::less<>>;

// Reads the files that `@path` values name.
class FileReader {
 public:
  virtual ~FileReader() = default;
  // The path as written, without the `@`. The reader bounds the size and says where a relative path begins.
  virtual absl::StatusOr<std::string> Read(std::string_view path) const = 0;
};

struct LoadOptions {
  const FileReader* files = nullptr;  // null: the source has no folder, every `@path` is an error
  std::optional<std::string> goal;    // takes the place of the graph's own goal
  bool undefined_variables_are_errors = false;
  std::function<bool(std::string_view model)> is_known_model;  // empty: `model_known` stays silent
};

struct LoadResult {
  std::shared_ptr<const Graph> graph;   // null exactly when a diagnostic is an error
  std::vector<Diagnostic> diagnostics;  // by rule, errors first; in source order within a rule
};

// Replaces variables, parses, applies the stylesheet and validates. Never throws, never recurses on the
// input, takes time linear in it. A syntax error is one diagnostic of the rule `syntax`, and then there are
// no others.
LoadResult LoadWorkflow(std::string_view source, const Variables& variables, const LoadOptions& options);

// The source with the text of each file that a `prompt` or `goal` names by `@path` in its place, so that it
// can be sent to where the files are not; variables in a path are replaced, a `$` in a file stays one.
// Anything else in the source is left as it is, its errors too. Fails with the reader's error.
absl::StatusOr<std::string> InlineFiles(std::string_view source, const Variables& variables,
                                        const FileReader& files);

}  // namespace fabro::workflow
