// Owner of running coroutines: the only way to start one. Whoever spawns cancels and joins.
#pragma once

#include <memory>
#include <string>

#include "core/async/executor.h"
#include "core/async/task.h"

namespace fabro {

// One child, so that it alone can be told to stop. Keeping it keeps nothing alive but a few bytes.
class TaskHandle {
 public:
  TaskHandle() = default;
  void Cancel() const;  // thread-safe; nothing when it has ended

 private:
  friend class TaskScope;
  std::shared_ptr<struct ScopeChild> child_;
};

// Thread-safe. Every child runs on a strand of its own, or on the executor it is given, and is cancelled
// there.
class TaskScope {
 public:
  explicit TaskScope(Executor executor);
  ~TaskScope();  // no child may be left: Join() first
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  // Starts a child. After Cancel() it still starts, cancelled from the outset, so that its clean-up runs. An
  // exception that escapes it is printed with the name and ends the program: nothing of ours throws.
  TaskHandle Spawn(std::string name, Task<void> task);
  TaskHandle SpawnOn(Executor executor, std::string name, Task<void> task);  // executor: a strand

  // Tells every child, present and future, to stop. Idempotent.
  void Cancel();

  // Returns when no child is left. Not interrupted by cancellation.
  Task<void> Join();

  // Blocks the calling thread until no child is left. Not from a coroutine.
  void JoinBlocking();

  std::size_t size() const;  // children alive

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fabro
