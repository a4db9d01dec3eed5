#include "core/workflows/catalog.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace fabro::workflows {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".fabro";
constexpr std::size_t kMostNames = 10'000;  // looked at in one folder
constexpr std::size_t kMostTold = 1000;
constexpr std::size_t kLongestPath = 4096;

bool IsThere(const std::string& path) {
  std::error_code failed;
  return fs::symlink_status(path, failed).type() != fs::file_type::not_found && !failed;
}

// The two ways for a workflow to lie in a folder.
Place FlatPlace(const std::string& dir, const std::string& slug) {
  return {slug, dir, "", slug + std::string(kExtension), slug + ".toml", {}};
}
Place FolderPlace(const std::string& dir, const std::string& slug) {
  return {slug, dir, slug, "workflow.fabro", "workflow.toml", {}};
}

bool IsInFolder(const std::string& dir, const std::string& slug) {
  const std::string folder = StrCat(dir, '/', slug);
  return IsThere(folder + "/workflow.fabro") || IsThere(folder + "/workflow.toml");
}

std::optional<Place> PlaceIn(const std::string& dir, const std::string& slug) {
  const bool is_folder = IsInFolder(dir, slug);
  if (IsThere(StrCat(dir, '/', slug, kExtension))) {
    Place place = FlatPlace(dir, slug);
    if (is_folder) {
      place.notes.push_back(
          Warning("shadowed", StrCat("the folder ", slug, " beside ", place.graph, " is not used")));
    }
    return place;
  }
  if (is_folder) return FolderPlace(dir, slug);
  return std::nullopt;
}

std::string SlugOfName(const std::string& name) {
  return name.ends_with(kExtension) ? name.substr(0, name.size() - kExtension.size()) : name;
}

absl::Status WorkflowNotFound(std::string_view slug) {
  return NotFound(Reason::kNotFound, slug, StrCat("Workflow ", slug, " not found."));
}

}  // namespace

bool IsSlug(std::string_view text) {
  return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), [](char c) {
    return c == '_' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

Catalog::Catalog(std::vector<std::string> dirs, BlockingPool& files)
    : dirs_(std::move(dirs)), files_(files) {}

void Catalog::TellOnce(const std::string& what) {
  {
    MutexLock lock(&mutex_);
    if (told_.size() >= kMostTold || !told_.insert(what).second) return;
  }
  log::Warn(what);
}

void Catalog::AddPlacesOf(const std::string& dir, std::map<std::string, Place>& places) {
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(dir, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (names.size() == kMostNames) {
      TellOnce(StrCat("the workflow folder ", dir, " holds more than ", kMostNames,
                      " files; the rest is not looked at"));
      break;
    }
    names.push_back(entry->path().filename().string());
  }
  if (failed && failed != std::errc::no_such_file_or_directory) {
    TellOnce(StrCat("the workflow folder ", dir, " cannot be read: ", failed.message()));
  }
  std::sort(names.begin(), names.end());
  std::string last;
  for (const std::string& name : names) {
    const std::string slug = SlugOfName(name);
    if (!IsSlug(slug)) {
      if (name.ends_with(kExtension)) {
        TellOnce(StrCat(dir, '/', ToValidUtf8(name),
                        " is left out: a workflow is named by letters, digits, - and _"));
      }
      continue;
    }
    std::optional<Place> place = PlaceIn(dir, slug);
    if (!place) continue;
    const auto [there, is_new] = places.try_emplace(slug, *place);
    if (!is_new && there->second.dir != dir) {
      const std::string message =
          StrCat(dir, '/', place->below.empty() ? place->graph : place->below, " is hidden by this one");
      std::vector<workflow::Diagnostic>& notes = there->second.notes;
      const bool is_said =
          std::any_of(notes.begin(), notes.end(), [&](const auto& note) { return note.message == message; });
      if (!is_said) notes.push_back(Warning("shadowed", message));
    }
  }
}

std::vector<Place> Catalog::Places() {
  std::map<std::string, Place> by_slug;
  for (const std::string& dir : dirs_) AddPlacesOf(dir, by_slug);
  std::vector<Place> places;
  for (auto& [slug, place] : by_slug) {
    if (places.size() == kMaxWorkflows) {
      TellOnce(StrCat("there are more than ", kMaxWorkflows, " workflows; those after ", places.back().slug,
                      " are not listed"));
      break;
    }
    places.push_back(std::move(place));
  }
  return places;
}

Summary Catalog::SummaryOf(const Place& place, const workflow::Variables& defaults) {
  const std::string key = StrCat(place.folder(), '/', place.graph);
  std::optional<Known> known;
  {
    MutexLock lock(&mutex_);
    const auto found = known_.find(key);
    if (found != known_.end()) known = found->second;
  }
  if (!known || known->defaults != defaults || HasChanged(known->seen)) {
    Place plain = place;
    plain.notes.clear();
    known.emplace();
    known->defaults = defaults;
    Registered read = ReadRegistered(plain, Ask{defaults, {}, std::nullopt}, &known->seen);
    known->summary = {read.slug, read.name, read.filename, read.graph != nullptr,
                      std::move(read.diagnostics)};
    MutexLock lock(&mutex_);
    if (known_.size() > 2 * kMaxWorkflows) known_.clear();
    known_.insert_or_assign(key, *known);
  }
  Summary summary = std::move(known->summary);
  summary.diagnostics.insert(summary.diagnostics.begin(), place.notes.begin(), place.notes.end());
  return summary;
}

std::vector<Summary> Catalog::ListNow(const workflow::Variables& defaults) {
  std::vector<Summary> list;
  for (const Place& place : Places()) list.push_back(SummaryOf(place, defaults));
  std::sort(list.begin(), list.end(), [](const Summary& a, const Summary& b) {
    return std::tie(a.name, a.slug) < std::tie(b.name, b.slug);
  });
  return list;
}

absl::StatusOr<std::string> Catalog::ReadNow(const std::string& path) const {
  const bool is_good = !path.empty() && path.size() <= kLongestPath;
  for (const std::string& dir : dirs_) {
    if (!is_good) break;
    std::string below = path;
    if (path.starts_with('/')) {
      std::error_code failed;
      const std::string root = fs::absolute(dir, failed).lexically_normal().string() + "/";
      const std::string normal = fs::path(path).lexically_normal().string();
      if (!normal.starts_with(root)) continue;
      below = normal.substr(root.size());
    }
    const absl::StatusOr<Folder> folder = Folder::Open(dir);
    if (!folder.ok()) continue;
    absl::StatusOr<std::string> source = ReadSource(*folder, below);
    if (!absl::IsNotFound(source.status())) return source;
  }
  return NotFound(
      Reason::kNotFound, path,
      StrCat("The child workflow ", path, " is in none of the workflow folders: ", Join(dirs_, ", "), "."));
}

Task<absl::StatusOr<std::vector<Summary>>> Catalog::List(workflow::Variables defaults) {
  auto list = [this, defaults = std::move(defaults)]() -> absl::StatusOr<std::vector<Summary>> {
    return ListNow(defaults);
  };
  co_return co_await RunBlocking(files_, std::move(list));
}

Task<absl::StatusOr<Registered>> Catalog::Find(std::string slug, Ask ask) {
  if (!IsSlug(slug)) co_return WorkflowNotFound(TruncateUtf8(slug, 256));
  auto find = [this, slug, ask = std::move(ask)]() -> absl::StatusOr<Registered> {
    std::optional<Place> place;
    for (const std::string& dir : dirs_) {
      std::optional<Place> here = PlaceIn(dir, slug);
      if (!place) {
        place = std::move(here);
      } else if (here) {
        place->notes.push_back(Warning(
            "shadowed",
            StrCat(dir, '/', here->below.empty() ? here->graph : here->below, " is hidden by this one")));
      }
    }
    if (!place) return WorkflowNotFound(slug);
    Seen seen;
    return ReadRegistered(*place, ask, &seen);
  };
  co_return co_await RunBlocking(files_, std::move(find));
}

Task<absl::StatusOr<std::string>> Catalog::ReadWorkflow(std::string path) {
  auto read = [this, path = std::move(path)] { return ReadNow(path); };
  absl::StatusOr<std::string> source = co_await RunBlocking(files_, std::move(read));
  if (source.status().code() == absl::StatusCode::kResourceExhausted) {
    co_return Unavailable(Reason::kLimit, "", MessageOf(source.status()));
  }
  co_return source;
}

}  // namespace fabro::workflows
