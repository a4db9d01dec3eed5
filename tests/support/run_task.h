// Runs one coroutine to its end from a test, on a runtime of its own or a given one.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "core/async/runtime.h"
#include "core/async/task_scope.h"

namespace fabro::testing {

template <typename T>
Task<void> KeepResult(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

template <typename T>
T RunTask(const Executor& executor, Task<T> task) {
  std::optional<T> result;
  TaskScope scope(executor);
  scope.Spawn("test", KeepResult(std::move(task), &result));
  scope.JoinBlocking();
  return *std::move(result);
}

template <typename T>
T RunTask(Task<T> task) {
  Runtime runtime(2);
  return RunTask(runtime.executor(), std::move(task));
}

}  // namespace fabro::testing
