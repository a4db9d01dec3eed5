// Stages whose ends a test decides.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/stages/stage_runner.h"

namespace fabro::testing {

// Thread-safe. A stage ends at once by the script, or by Finish() when its node is held.
class ScriptedStages final : public stages::StageRunner {
 public:
  using Script = std::function<Task<engine::Outcome>(stages::StageRequest, stages::StageOutputSink*)>;

  void SetScript(Script script) {
    MutexLock lock(&mutex_);
    script_ = std::move(script);
  }
  void SetOutcome(std::string node, engine::Outcome outcome) {
    MutexLock lock(&mutex_);
    outcomes_[std::move(node)] = std::move(outcome);
  }
  void Hold(std::string node) {
    MutexLock lock(&mutex_);
    held_.insert(std::move(node));
  }
  // A cancelled stage of a held node goes on until LetDie().
  void SetSlowToDie(bool slow) {
    MutexLock lock(&mutex_);
    slow_to_die_ = slow;
  }
  void LetDie() {
    std::list<std::shared_ptr<Waiter>> dying;
    {
      MutexLock lock(&mutex_);
      slow_to_die_ = false;
      dying.swap(dying_);
    }
    for (const auto& waiter : dying) waiter->Complete(absl::OkStatus());
  }
  // Ends the execution of a held node that began first; waits for one to begin.
  void Finish(const std::string& node, engine::Outcome outcome = {}) {
    AwaitRunning(node, 1);
    std::shared_ptr<Held> held;
    {
      MutexLock lock(&mutex_);
      const auto found = std::find_if(running_.begin(), running_.end(),
                                      [&](const auto& each) { return each->node == node; });
      ASSERT_NE(found, running_.end());
      held = *found;
      running_.erase(found);
    }
    held->outcome = std::move(outcome);
    held->done.Complete(absl::OkStatus());
  }

  void AwaitRunning(const std::string& node, int count) {
    Await([&] { return CountRunning(node) >= count; }, "no stage begins");
  }
  void AwaitDying(std::size_t count) {
    Await(
        [&] {
          MutexLock lock(&mutex_);
          return dying_.size() >= count;
        },
        "no stage is being cancelled");
  }

  int started(const std::string& node) const {
    MutexLock lock(&mutex_);
    const auto found = started_.find(node);
    return found == started_.end() ? 0 : found->second;
  }
  int active() const {
    MutexLock lock(&mutex_);
    return active_;
  }
  int most_active() const {
    MutexLock lock(&mutex_);
    return most_active_;
  }

  Task<engine::Outcome> Run(stages::StageRequest request, stages::StageOutputSink* sink) override {
    Script script;
    std::shared_ptr<Held> held;
    engine::Outcome outcome;
    {
      MutexLock lock(&mutex_);
      ++started_[request.node->id];
      most_active_ = std::max(most_active_, ++active_);
      script = script_;
      if (held_.contains(request.node->id)) {
        held = std::make_shared<Held>();
        held->node = request.node->id;
        running_.push_back(held);
      } else if (const auto known = outcomes_.find(request.node->id); known != outcomes_.end()) {
        outcome = known->second;
      }
    }
    if (held) {
      outcome = co_await RunHeld(held);
    } else if (script) {
      outcome = co_await script(request, sink);
    }
    MutexLock lock(&mutex_);
    --active_;
    co_return outcome;
  }

 private:
  struct Held {
    std::string node;
    Waiter done;
    engine::Outcome outcome;
  };

  Task<engine::Outcome> RunHeld(std::shared_ptr<Held> held) {
    const absl::Status finished = co_await held->done.Wait();
    if (finished.ok()) co_return held->outcome;
    const auto dying = std::make_shared<Waiter>();
    bool slow = false;
    {
      MutexLock lock(&mutex_);
      running_.remove(held);
      slow = slow_to_die_;
      if (slow) dying_.push_back(dying);
    }
    if (slow) (void)co_await dying->WaitUncancelled();
    engine::Outcome outcome;
    outcome.status = engine::OutcomeStatus::kFail;
    outcome.failure = engine::Failure{"stopped", engine::FailureClass::kCanceled};
    co_return outcome;
  }

  int CountRunning(const std::string& node) const {
    MutexLock lock(&mutex_);
    return static_cast<int>(std::count_if(running_.begin(), running_.end(),
                                          [&](const auto& held) { return held->node == node; }));
  }

  static void Await(const std::function<bool()>& happened, const char* otherwise) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!happened()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << otherwise;
      std::this_thread::yield();
    }
  }

  mutable Mutex mutex_;
  Script script_ GUARDED_BY(mutex_);
  std::map<std::string, engine::Outcome> outcomes_ GUARDED_BY(mutex_);
  std::set<std::string> held_ GUARDED_BY(mutex_);
  std::list<std::shared_ptr<Held>> running_ GUARDED_BY(mutex_);
  std::list<std::shared_ptr<Waiter>> dying_ GUARDED_BY(mutex_);
  std::map<std::string, int> started_ GUARDED_BY(mutex_);
  bool slow_to_die_ GUARDED_BY(mutex_) = false;
  int active_ GUARDED_BY(mutex_) = 0;
  int most_active_ GUARDED_BY(mutex_) = 0;
};

}  // namespace fabro::testing
