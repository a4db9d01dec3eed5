#include "core/stages/run_trees.h"

#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "core/base/strings.h"

namespace fabro::stages {
namespace {

// Node ids may hold any character; names of files and branches may not.
std::string FileName(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string name;
  for (const char c : text) {
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (is_plain) {
      name += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      name += '%';
      name += kHex[byte >> 4];
      name += kHex[byte & 15];
    }
  }
  return name;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed)) {
    names.push_back(at->path().filename().string());
  }
  return names;
}

// Anything that could end a line becomes a blank.
std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return line;
}

}  // namespace

RunTrees::RunTrees(const std::string& runs_dir, RunId run, std::string repository)
    : id_(run.ToString()), folder_(StrCat(runs_dir, "/", id_)), repository_(std::move(repository)) {}

git::Worktree RunTrees::Own() const {
  return {.repository = repository_,
          .path = folder_ + "/tree",
          .name = "fabro-" + id_,
          .branch = "fabro/run/" + id_};
}

git::Worktree RunTrees::Branch(std::string_view name) const { return BranchFiled(FileName(name)); }

std::vector<git::Worktree> RunTrees::FindBranches() const {
  std::set<std::string> found;
  for (std::string& name : NamesIn(branches_folder())) found.insert(std::move(name));
  const std::string prefix = Own().name + "-";
  for (const std::string& name : NamesIn(repository_ + "/worktrees")) {
    if (name.starts_with(prefix)) found.insert(name.substr(prefix.size()));
  }
  std::vector<git::Worktree> branches;
  for (const std::string& plain : found) branches.push_back(BranchFiled(plain));
  return branches;
}

git::Worktree RunTrees::BranchFiled(const std::string& plain) const {
  return {.repository = repository_,
          .path = StrCat(branches_folder(), "/", plain),
          .name = StrCat("fabro-", id_, "-", plain),
          .branch = branches_prefix() + plain};
}

std::string RunTrees::branches_folder() const { return folder_ + "/trees"; }

std::string RunTrees::branches_prefix() const { return StrCat("fabro/branches/", id_, "/"); }

std::string StageMessage(RunId run, std::string_view stage_id, std::string_view status,
                         std::uint32_t completed) {
  const std::string stage = OneLine(stage_id);
  return StrCat("fabro: ", stage, " (", status, ")\n\nFabro-Run: ", run.ToString(), "\nFabro-Stage: ", stage,
                "\nFabro-Completed: ", completed, "\n");
}

std::string RunMessage(RunId run, std::string_view what) {
  return StrCat("fabro: ", OneLine(what), "\n\nFabro-Run: ", run.ToString(), "\n");
}

}  // namespace fabro::stages
