#include "core/sandbox/git_repository.h"

#include <filesystem>
#include <fstream>

#include "core/base/strings.h"

namespace fabro::sandbox {
namespace fs = std::filesystem;
namespace {

// The one line of a small file of git's; empty when it is not such a file.
std::string LineOf(const fs::path& file) {
  std::error_code failed;
  if (!fs::is_regular_file(fs::symlink_status(file, failed))) return "";
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return std::string(Trim(line));
}

fs::path Canonical(const fs::path& path) {
  std::error_code failed;
  fs::path found = fs::canonical(path, failed);
  return failed ? fs::path() : found;
}

}  // namespace

std::string RepositoryOf(const std::string& work_dir) {
  constexpr std::string_view kPrefix = "gitdir: ";
  const fs::path own = fs::path(work_dir) / ".git";
  const std::string line = LineOf(own);
  if (!line.starts_with(kPrefix)) return "";
  // REPOSITORY/worktrees/NAME, where `gitdir` leads back here.
  const fs::path entry = Canonical(fs::path(work_dir) / line.substr(kPrefix.size()));
  if (entry.empty() || entry.parent_path().filename() != "worktrees") return "";
  const fs::path back = LineOf(entry / "gitdir");
  const fs::path known = Canonical(back.is_absolute() ? back : entry / back);
  if (known.empty() || known != Canonical(own)) return "";
  const fs::path repository = entry.parent_path().parent_path();
  if (Canonical(entry / LineOf(entry / "commondir")) != repository) return "";
  std::error_code failed;
  const bool is_one = fs::is_regular_file(repository / "HEAD", failed) &&
                      fs::is_directory(repository / "objects", failed) &&
                      fs::is_directory(repository / "refs", failed);
  return is_one ? repository.string() : "";
}

}  // namespace fabro::sandbox
