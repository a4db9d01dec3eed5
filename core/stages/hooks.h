// The hooks of runs: which of them an occasion concerns, in what order, and which of them are waited for.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/task_scope.h"
#include "core/async/waiter.h"
#include "core/base/mutex.h"
#include "core/stages/hook_call.h"

namespace fabro::stages {

// Thread-safe.
class Hooks {
 public:
  static constexpr int kBeside = 4;  // non-blocking calls of one run at the same time
  static constexpr std::size_t kWaiting =
      256;  // further ones; beyond these they are left out, which is logged

  Hooks(const Executor& executor, HookCaller& caller) : caller_(caller), scope_(executor) {}
  ~Hooks() { Stop(); }
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // Cheap: whether any hook of the settings might have to do with this.
  static bool Concern(const config::RunSettings& settings, config::HookEvent event);

  // Calls the hooks of the occasion's settings in their order. A blocking one is waited for; where the event
  // can be stopped (run_start, stage_start, stage_complete), its veto is the verdict, and no later hook is
  // called. Elsewhere what it says against it is only logged, as it is of the others, which go on beside.
  // Cancelled when the caller is.
  Task<absl::StatusOr<Verdict>> Fire(Occasion occasion);

  // Returns when nothing is called for the run any more; nothing may be fired for it meanwhile. Cancelling
  // the caller, or `give_up`, stops what is still under way.
  Task<void> Join(RunId run, bool give_up);

  void Stop();  // what is under way ends, and nothing is begun any more. Blocks; not from a coroutine.

 private:
  struct Call {
    config::Hook hook;
    std::string name;  // for people
    Occasion occasion;
  };
  // What goes on beside one run; there as long as anything does.
  struct Beside {
    std::deque<Call> waiting;  // at most kWaiting
    std::map<std::uint64_t, TaskHandle> workers;
    int running = 0;
    std::vector<std::shared_ptr<Waiter>> joiners;
  };

  void Begin(Call call);
  Task<void> Work(Call call, std::uint64_t worker);
  std::optional<Call> Next(RunId run, std::uint64_t worker);
  void GiveUp(RunId run);

  HookCaller& caller_;
  Mutex mutex_;
  std::map<RunId, Beside> beside_ GUARDED_BY(mutex_);
  std::uint64_t last_worker_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  TaskScope scope_;
};

}  // namespace fabro::stages
