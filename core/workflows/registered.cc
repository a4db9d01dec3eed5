#include "core/workflows/registered.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::workflows {
namespace {

constexpr int kMostReadings = 5;

workflow::Diagnostic Wrong(std::string rule, std::string message) {
  workflow::Diagnostic diagnostic = Warning(std::move(rule), std::move(message));
  diagnostic.severity = workflow::Severity::kError;
  return diagnostic;
}

// Reads each file once, so that all who ask see the same.
class PromptReader final : public workflow::FileReader {
 public:
  PromptReader(const Folder& folder, std::string path, Seen& seen)
      : folder_(folder), path_(std::move(path)), seen_(seen) {}

  absl::StatusOr<std::string> Read(std::string_view name) const override {
    const auto known = texts_.find(name);
    if (known != texts_.end()) return known->second;
    const std::string file(name);
    seen_.emplace_back(StrCat(path_, '/', file), StampOf(StrCat(path_, '/', file)));
    absl::StatusOr<std::string> text = folder_.Read(file, workflow::kMaxSourceBytes);
    return texts_.emplace(file, std::move(text)).first->second;
  }

 private:
  const Folder& folder_;
  const std::string path_;
  Seen& seen_;
  mutable std::map<std::string, absl::StatusOr<std::string>, std::less<>> texts_;
};

absl::StatusOr<Folder> OpenFolder(const Place& place) {
  FABRO_ASSIGN_OR_RETURN(Folder dir, Folder::Open(place.dir));
  if (place.below.empty()) return dir;
  return dir.OpenBelow(place.below);
}

void TakeConfig(const Folder& folder, const Place& place, Registered& out) {
  const absl::StatusOr<std::string> text = folder.Read(place.config, kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) return;
  if (!text.ok()) {
    out.diagnostics.push_back(Wrong("run_config", MessageOf(text.status())));
    return;
  }
  config::RunConfigReading reading = config::ReadRunConfig(*text, place.config);
  out.config = std::move(reading.config);
  for (std::string& error : reading.errors) out.diagnostics.push_back(Wrong("run_config", std::move(error)));
  for (std::string& warning : reading.warnings)
    out.diagnostics.push_back(Warning("run_config", std::move(warning)));
}

void TakeGraph(const workflow::FileReader& files, const Ask& ask, Registered& out) {
  workflow::LoadOptions options;
  options.files = &files;
  options.goal = ask.goal ? ask.goal : out.config.goal;
  options.undefined_variables_are_errors = out.config.vars.has_value();
  workflow::LoadResult loaded = workflow::LoadWorkflow(out.text, out.variables, options);
  if (loaded.graph != nullptr) {
    const absl::StatusOr<std::string> inlined = workflow::InlineFiles(out.text, out.variables, files);
    if (!inlined.ok()) {
      loaded = {nullptr, {Wrong("file_reference", MessageOf(inlined.status()))}};
    } else {
      out.source = *inlined;
      options.files = nullptr;
      // What is stored with a run is read again without the folder: it must be right by itself.
      if (out.source != out.text) loaded = workflow::LoadWorkflow(out.source, out.variables, options);
    }
  }
  out.graph = std::move(loaded.graph);
  std::move(loaded.diagnostics.begin(), loaded.diagnostics.end(), std::back_inserter(out.diagnostics));
}

Registered ReadOnce(const Place& place, const Ask& ask, Seen& seen) {
  Registered out;
  out.slug = place.slug;
  out.name = place.slug;
  out.filename = place.graph;
  out.diagnostics = place.notes;
  const absl::StatusOr<Folder> folder = OpenFolder(place);
  if (!folder.ok()) {
    out.diagnostics.push_back(Wrong("graph_file", MessageOf(folder.status())));
    return out;
  }
  const std::string path = place.folder();
  seen.emplace_back(StrCat(path, '/', place.config), StampOf(StrCat(path, '/', place.config)));
  TakeConfig(*folder, place, out);
  if (!out.config.graph.empty()) out.filename = out.config.graph;
  out.description = out.config.description;
  out.variables = ask.defaults;
  if (out.config.vars) {
    for (const auto& [name, value] : *out.config.vars) out.variables.insert_or_assign(name, value);
  }
  for (const auto& [name, value] : ask.vars) out.variables.insert_or_assign(name, value);

  seen.emplace_back(StrCat(path, '/', out.filename), StampOf(StrCat(path, '/', out.filename)));
  absl::StatusOr<std::string> text = folder->Read(out.filename, workflow::kMaxSourceBytes);
  if (!text.ok()) {
    out.diagnostics.push_back(Wrong("graph_file", MessageOf(text.status())));
    return out;
  }
  out.text = *std::move(text);
  TakeGraph(PromptReader(*folder, path, seen), ask, out);
  if (out.graph != nullptr) {
    out.name = !out.graph->label.empty()  ? out.graph->label
               : !out.graph->name.empty() ? out.graph->name
                                          : place.slug;
    if (out.description.empty()) out.description = out.graph->goal;
  }
  if (workflow::HasErrors(out.diagnostics)) out.graph = nullptr;
  return out;
}

}  // namespace

workflow::Diagnostic Warning(std::string rule, std::string message) {
  workflow::Diagnostic diagnostic;
  diagnostic.rule = std::move(rule);
  diagnostic.severity = workflow::Severity::kWarning;
  diagnostic.message = std::move(message);
  return diagnostic;
}

bool HasChanged(const Seen& seen) {
  return std::any_of(seen.begin(), seen.end(),
                     [](const auto& file) { return StampOf(file.first) != file.second; });
}

Registered ReadRegistered(const Place& place, const Ask& ask, Seen* seen) {
  for (int reading = 1;; ++reading) {
    seen->clear();
    Registered out = ReadOnce(place, ask, *seen);
    if (!HasChanged(*seen)) return out;
    if (reading < kMostReadings) continue;
    out.graph = nullptr;
    out.diagnostics.push_back(Wrong("graph_file", "its files kept changing while they were read; try again"));
    return out;
  }
}

absl::StatusOr<std::string> ReadSource(const Folder& dir, const std::string& path) {
  FABRO_ASSIGN_OR_RETURN(std::string text, dir.Read(path, workflow::kMaxSourceBytes));
  const std::size_t slash = path.rfind('/');
  FABRO_ASSIGN_OR_RETURN(const Folder folder,
                         dir.OpenBelow(slash == std::string::npos ? "." : path.substr(0, slash)));
  Seen seen;
  const PromptReader files(folder, "", seen);
  absl::StatusOr<std::string> source = workflow::InlineFiles(text, workflow::Variables(), files);
  if (source.ok()) return source;
  return InvalidArgument(Reason::kInvalidArgument, path, StrCat(path, ": ", MessageOf(source.status())));
}

}  // namespace fabro::workflows
