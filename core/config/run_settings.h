// What one run executes with: the server's defaults, the workflow's own and the request's, put together when
// the run is made and stored with it, so that a later change of a file changes no run that is there.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fabro::config {

struct SandboxConfig;

enum class SandboxProvider : std::uint8_t { kLocal, kBubblewrap, kDocker };

// When a run works in a git worktree of its own instead of the folder itself.
enum class WorktreeMode : std::uint8_t {
  kClean,   // when the folder is a repository without uncommitted changes
  kAlways,  // when it is a repository; what is not committed is not seen
  kDirty,   // as kAlways
  kNever,
};

struct SandboxBounds {
  bool network = false;
  std::int64_t memory_bytes = 0;  // 0: no limit, as in the two below
  std::int64_t max_processes = 0;
  std::int64_t cpu_seconds = 0;

  bool operator==(const SandboxBounds&) const = default;
};

struct SandboxSettings {
  SandboxProvider provider = SandboxProvider::kLocal;
  std::map<std::string, std::string> env;
  SandboxBounds bubblewrap;
  SandboxBounds docker;
  std::string docker_image;
  WorktreeMode worktree_mode = WorktreeMode::kClean;
  bool preserve = false;  // the working directory's worktree stays after the run

  bool operator==(const SandboxSettings&) const = default;
};

enum class HookEvent : std::uint8_t {
  kRunStart,
  kRunComplete,
  kRunFailed,
  kStageStart,
  kStageComplete,
  kStageFailed,
};

struct Hook {
  enum class Kind : std::uint8_t { kCommand, kHttp };
  std::string name;  // empty: none
  HookEvent event = HookEvent::kRunStart;
  Kind kind = Kind::kCommand;
  std::string command;
  std::string url;
  std::map<std::string, std::string> headers;
  std::vector<std::string> allowed_env_vars;  // which a header may name as $NAME
  bool verify_tls = true;
  std::string matcher;    // RE2 over the node's id; empty: all
  bool blocking = false;  // waited for, and may veto
  bool sandbox = true;    // a command runs where the stages do, else on the host
  std::chrono::milliseconds timeout{60'000};

  bool operator==(const Hook&) const = default;
};

// Whether a run may have the provider; by its word.
bool IsAllowed(const SandboxConfig& config, std::string_view provider);

// What the server's own settings say of every run's sandbox.
SandboxSettings SandboxSettingsOf(const SandboxConfig& config);

struct RunSettings {
  std::string graph;     // the file of a registered workflow; empty: the source came with the request
  std::string work_dir;  // absolute; empty: a folder of the run's own
  SandboxSettings sandbox;
  std::vector<std::string> setup_commands;
  std::chrono::milliseconds setup_timeout{300'000};  // for each command
  std::vector<Hook> hooks;
  std::vector<std::string> checkpoint_exclude_globs;
  std::vector<std::string> assets_include;
  std::string llm_provider;
  std::string llm_model;
  std::map<std::string, std::vector<std::string>> llm_fallbacks;  // provider -> those to turn to, in order

  std::set<std::string> hidden_vars;  // the variables whose values are the server's, and not shown

  bool operator==(const RunSettings&) const = default;
};

}  // namespace fabro::config
