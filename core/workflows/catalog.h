// The workflows that can be started by name: those that lie in the workflow folders at this moment.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/blocking_pool.h"
#include "core/async/task.h"
#include "core/base/mutex.h"
#include "core/runtime/workflow_source.h"
#include "core/workflows/registered.h"

namespace fabro::workflows {

inline constexpr std::size_t kMaxWorkflows =
    1000;  // in all folders; the rest are left out, and the log says so

// A workflow as a line of a list.
struct Summary {
  std::string slug;
  std::string name;
  std::string filename;
  bool valid = false;
  std::vector<workflow::Diagnostic> diagnostics;
};

// Thread-safe. Each question looks at the files; what has not changed since the last one is not read again.
class Catalog final : public runtime::WorkflowSource {
 public:
  // Of two workflows of the same name the one in the earlier folder counts.
  Catalog(std::vector<std::string> dirs, BlockingPool& files);

  // By name. Broken ones too.
  Task<absl::StatusOr<std::vector<Summary>>> List(workflow::Variables defaults);

  // NotFound: "Workflow NAME not found." A broken one has no graph.
  Task<absl::StatusOr<Registered>> Find(std::string slug, Ask ask);

  Task<absl::StatusOr<std::string>> ReadWorkflow(std::string path) override;

 private:
  struct Known {
    Seen seen;
    workflow::Variables defaults;
    Summary summary;
  };

  std::vector<Place> Places();
  void AddPlacesOf(const std::string& dir, std::map<std::string, Place>& places);
  std::vector<Summary> ListNow(const workflow::Variables& defaults);
  Summary SummaryOf(const Place& place, const workflow::Variables& defaults);
  absl::StatusOr<std::string> ReadNow(const std::string& path) const;
  void TellOnce(const std::string& what);

  const std::vector<std::string> dirs_;
  BlockingPool& files_;
  Mutex mutex_;
  std::map<std::string, Known> known_ GUARDED_BY(mutex_);  // by the path of the graph
  std::set<std::string> told_ GUARDED_BY(mutex_);
};

bool IsSlug(std::string_view text);  // [A-Za-z0-9_-]+, at most 256

}  // namespace fabro::workflows
