// A git repository in a folder of its own, made and looked at with the git program.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "tests/support/temp_directory.h"

namespace fabro::testing {

// What a shell says, both streams, without the last newline.
inline std::string Shell(const std::filesystem::path& folder, const std::string& script) {
  const std::string command = "cd '" + folder.string() + "' && { " + script + "\n} 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string said;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; pipe != nullptr && (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    said.append(buffer.data(), n);
  }
  if (pipe != nullptr) ::pclose(pipe);
  if (said.ends_with('\n')) said.pop_back();
  return said;
}

inline void WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class GitRepository {
 public:
  // With one commit: README, src/main.c and .gitignore, which ignores build/.
  GitRepository() {
    ::setenv("HOME", home_.path().c_str(), 1);  // nobody's settings
    ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    std::filesystem::create_directories(path());
    Run("git init -q -b main . && git config user.name A && git config user.email a@b");
    Write("README", "hello\n");
    Write("src/main.c", "int main;\n");
    Write(".gitignore", "build/\n");
    Run("git add -A && git commit -qm first");
  }

  std::filesystem::path path() const { return home_.path() / "project"; }
  std::string folder() const { return path().string(); }
  std::string git_folder() const { return (path() / ".git").string(); }
  std::filesystem::path beside(const std::string& name) const { return home_.path() / name; }

  std::string Run(const std::string& script) const { return Shell(path(), script); }
  void Write(const std::string& name, const std::string& text) const { WriteFile(path() / name, text); }
  std::string Head() const { return Run("git rev-parse HEAD"); }

  // All that is the user's own: files, index, HEAD and the branches that are not Fabro's.
  std::map<std::string, std::string> Checkout() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
      const std::string name = entry.path().lexically_relative(path()).string();
      if (entry.is_regular_file() && !name.starts_with(".git/")) all[name] = ReadFile(entry.path());
    }
    for (const char* name : {".git/HEAD", ".git/index", ".git/config"}) all[name] = ReadFile(path() / name);
    all["branches"] = Run("git for-each-ref | grep -v refs/heads/fabro/ || true");
    return all;
  }

 private:
  const TempDirectory home_;
};

}  // namespace fabro::testing
