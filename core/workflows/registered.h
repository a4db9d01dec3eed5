// One registered workflow, read from its folder as a whole.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/run_config.h"
#include "core/workflow/load.h"
#include "core/workflows/folder.h"

namespace fabro::workflows {

inline constexpr std::size_t kMaxConfigBytes = 256 << 10;

// Where a workflow lies: NAME.fabro with NAME.toml, or NAME/workflow.fabro with NAME/workflow.toml.
struct Place {
  std::string slug;
  std::string dir;                          // of all workflows
  std::string below;                        // the workflow's own folder in it; empty: it has none
  std::string graph;                        // file names in the folder
  std::string config;                       // it may be absent
  std::vector<workflow::Diagnostic> notes;  // what is to be said of the place

  std::string folder() const { return below.empty() ? dir : dir + "/" + below; }
};

// What a run brings along.
struct Ask {
  workflow::Variables defaults;  // weaker than the workflow's own
  workflow::Variables vars;      // stronger
  std::optional<std::string> goal;
};

struct Registered {
  std::string slug;
  std::string name;      // the graph's label or name, else the slug
  std::string filename;  // of the graph
  std::string description;
  std::string text;    // the graph's file as it is
  std::string source;  // with the files that its prompts name; what a run is made of
  config::RunConfig config;
  workflow::Variables variables;                 // of all three
  std::shared_ptr<const workflow::Graph> graph;  // null: it cannot run, and the diagnostics say why
  std::vector<workflow::Diagnostic> diagnostics;
};

// Every file that counted and how it was before it was read.
using Seen = std::vector<std::pair<std::string, Stamp>>;
bool HasChanged(const Seen& seen);

// Blocking. All files as they were at one moment: when one changes meanwhile, all are read again. Never
// fails; what is wrong is a diagnostic.
Registered ReadRegistered(const Place& place, const Ask& ask, Seen* seen);

// A file's source with the files that its prompts name. They lie in the folder of the file.
absl::StatusOr<std::string> ReadSource(const Folder& dir, const std::string& path);

workflow::Diagnostic Warning(std::string rule, std::string message);

}  // namespace fabro::workflows
