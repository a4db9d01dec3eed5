// Plays a story: feeds its inputs to a machine and tells what came of each.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "core/engine/machine.h"

namespace fabro::scenario {

// Chance as the story sets it: always the same number.
class FixedRandom : public Random {
 public:
  std::uint64_t Next() override { return static_cast<std::uint64_t>(unit_ * 0x1.0p53) << 11; }
  void set_unit(double unit) { unit_ = unit; }

 private:
  double unit_ = 0.5;
};

class Player {
 public:
  // The state and the number of records at the end of one line of the story.
  struct Moment {
    std::size_t records = 0;
    std::string snapshot;
  };

  explicit Player(std::shared_ptr<const workflow::Graph> graph);

  // Plays one line; gives what happened, a line each. A line that is no input gives one that starts with
  // "error".
  std::vector<std::string> Play(std::string_view line);

  engine::RunSeed seed() const { return seed_; }
  const engine::Machine& machine() const { return *machine_; }
  const std::vector<engine::Record>& records() const { return records_; }
  const std::vector<Moment>& moments() const { return moments_; }

 private:
  void Feed(const engine::Input& input);
  void Crash();
  void Fork(const std::vector<std::string>& words);
  std::optional<std::string> StateAt(std::uint64_t checkpoint) const;
  bool Configure(const std::vector<std::string>& words);
  bool Show(const std::vector<std::string>& words);
  std::optional<engine::Input> InputOf(const std::vector<std::string>& words);
  std::optional<engine::Input> ChildInput(const std::vector<std::string>& words);
  std::optional<engine::Input> ToldInput(const std::vector<std::string>& words);
  std::optional<engine::Input> RewindInput(const std::vector<std::string>& words);
  std::optional<engine::Input> StageInput(const std::vector<std::string>& words);
  engine::ExecutionId ExecutionOf(const std::optional<std::string>& name) const;
  void Say(std::string line) { said_.push_back(std::move(line)); }

  engine::RunSeed seed_;
  std::optional<engine::Machine> machine_;
  std::vector<engine::Record> records_;
  std::vector<Moment> moments_;
  std::vector<std::string> said_;
  bool has_slot_ = false;
  bool prepares_ = false;
  std::map<std::string, RunId, std::less<>> children_;  // by node, the last one
  FixedRandom random_;
  Timestamp now_{1'767'225'600'000};  // 2026-01-01
};

}  // namespace fabro::scenario
