// What a run shows of its state: plain copies, with objects of free shape as JSON text.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/smoothness.h"
#include "core/base/time.h"
#include "core/workflow/human_options.h"

namespace fabro::engine {

enum class StageState : std::uint8_t { kRunning, kPending, kCompleted, kFailed, kCancelled };
std::string_view ToString(StageState state);  // "running"

// One execution of a node: a node that is visited three times gives three.
struct StageView {
  std::string id;    // "fix", then "fix-2" ...
  std::string name;  // the node's label
  std::string node_id;
  workflow::NodeKind kind = workflow::NodeKind::kCommand;
  std::uint32_t visit = 1;                  // which execution of its node this is
  StageState state = StageState::kRunning;  // pending: between two attempts
  Timestamp started_at;
  std::optional<std::chrono::milliseconds> duration;  // all attempts and the waits between them; once ended
};

// A question that waits for its answer.
struct QuestionView {
  std::string id;  // "q-1"
  std::string text;
  workflow::QuestionType type = workflow::QuestionType::kMultipleChoice;
  std::vector<workflow::HumanOption> options;
  bool allow_freeform = false;
  std::string stage_id;
  std::string context;  // the last response before it, at most 4000 characters
  Timestamp asked_at;
  std::optional<Timestamp> expires_at;
  std::string default_choice;  // empty: none
};

// A run that has ended, in hindsight. Each execution of a node counts, also what a rewind took back; a fork
// leaves out what was before it.
struct HindsightView {
  Smoothness smoothness = Smoothness::kEffortless;
  Timestamp finished_at;
  std::chrono::milliseconds duration{0};
  std::optional<double> cost;  // US dollars
  std::uint32_t retries = 0;
  std::uint32_t friction_points = 0;
  std::uint32_t stages_completed = 0;
  std::uint32_t stages_failed = 0;
  std::vector<std::string> files_touched;  // sorted; at most kMaxFilesTouched of them
};

struct CheckpointView {
  Timestamp timestamp;
  std::string current_node;
  std::vector<std::string> completed_nodes;          // as they ended; with repeats
  std::map<std::string, std::int64_t> node_retries;  // retries used in the last visit, where any
  std::string context_values;                        // JSON object
  std::string node_outcomes;                         // JSON object by node id
  std::optional<std::string> next_node_id;
  std::optional<std::string> git_commit_sha;
  std::map<std::string, std::int64_t> loop_failure_signatures;
  std::map<std::string, std::int64_t> restart_failure_signatures;
  std::map<std::string, std::int64_t> node_visits;
};

}  // namespace fabro::engine
