// The person and the clock beside a run and all that it began: they answer, unpause, take it back, and time
// passes. Now and then somebody pauses one of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "tests/crash/story.h"
#include "tests/support/run_world.h"

namespace fabro::crash {

using Events = std::vector<v1::Event>;

// The run, its children and theirs; the eldest first.
std::vector<storage::RunRow> FamilyOf(testing::RunWorld& world, RunId root);

// What clients have been told: of each run, up to which event. Thread-safe.
class Told {
 public:
  using Heads = std::map<RunId, std::uint64_t>;

  explicit Told(Heads heads = {}) : heads_(std::move(heads)) {}

  void Note(const storage::RunRow& row) {
    MutexLock lock(&mutex_);
    std::uint64_t& head = heads_[row.id];
    head = std::max<std::uint64_t>(head, ToUint(row.head));
  }
  Heads heads() const {
    MutexLock lock(&mutex_);
    return heads_;
  }

 private:
  mutable Mutex mutex_;
  Heads heads_ GUARDED_BY(mutex_);
};

class Hand {
 public:
  Hand(testing::RunWorld& world, RunId root, std::uint64_t seed, Told& told)
      : world_(world), root_(root), random_(seed), told_(told) {}

  void Drive();  // until all of them have ended

 private:
  bool Act(const std::vector<storage::RunRow>& family);
  bool Answer(const storage::RunRow& row);
  bool TakesBack(RunId run, const std::string& number);
  bool LetsTimePass(const std::vector<storage::RunRow>& family);
  bool Do(RunId run, engine::Input input);

  testing::RunWorld& world_;
  const RunId root_;
  testing::SeededRandom random_;
  Told& told_;
  int pauses_left_ = 3;
};

}  // namespace fabro::crash
