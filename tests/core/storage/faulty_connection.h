// A real SQLite connection whose steps a test can watch, hold up and fail.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/storage/sqlite/sqlite_connection.h"

namespace fabro::testing {

using storage::ConnectionFactory;
using storage::SqlConnection;
using storage::SqlValue;
using storage::Statement;

// Shared by a test and the connections it has had wrapped. Thread-safe.
class Faults {
 public:
  using Rule = std::function<absl::Status(std::string_view step, std::initializer_list<SqlValue> values)>;

  // Called before each step of a writer ("begin", "commit" or a statement's name). An error is the step's
  // result; for "commit" the real commit is made all the same if it is kOutcomeUnknown.
  void SetRule(Rule rule) {
    MutexLock lock(&mutex_);
    rule_ = std::move(rule);
  }
  void SetOpenResult(absl::Status status) {
    MutexLock lock(&mutex_);
    open_result_ = std::move(status);
  }

  // While held, a writer waits at its next "begin".
  void Hold() {
    MutexLock lock(&mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(&mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  // Returns when a writer waits at "begin" because of Hold().
  void AwaitHeld() {
    MutexLock lock(&mutex_);
    while (waiting_ == 0) changed_.Wait(&mutex_);
  }

  std::vector<std::string> steps() {
    MutexLock lock(&mutex_);
    return steps_;
  }
  int Count(std::string_view step) {
    int count = 0;
    for (const std::string& each : steps()) count += each == step ? 1 : 0;
    return count;
  }

  absl::Status Step(std::string_view step, std::initializer_list<SqlValue> values) {
    Rule rule;
    {
      MutexLock lock(&mutex_);
      while (step == "begin" && held_) {
        ++waiting_;
        changed_.NotifyAll();
        changed_.Wait(&mutex_);
        --waiting_;
      }
      steps_.emplace_back(step);
      rule = rule_;
    }
    return rule ? rule(step, values) : absl::OkStatus();
  }

  ConnectionFactory Writer(std::string path) {
    return [this, path = std::move(path)]() -> absl::StatusOr<std::unique_ptr<SqlConnection>> {
      {
        MutexLock lock(&mutex_);
        if (!open_result_.ok()) return open_result_;
      }
      auto opened =
          storage::sqlite::SqliteConnection::Open(path, storage::sqlite::SqliteConnection::Role::kWriter);
      if (!opened.ok()) return opened.status();
      return Wrap(*std::move(opened));
    };
  }

  std::unique_ptr<SqlConnection> Wrap(std::unique_ptr<SqlConnection> connection);

 private:
  Mutex mutex_;
  CondVar changed_;
  Rule rule_ GUARDED_BY(mutex_);
  absl::Status open_result_ GUARDED_BY(mutex_);
  bool held_ GUARDED_BY(mutex_) = false;
  int waiting_ GUARDED_BY(mutex_) = 0;
  std::vector<std::string> steps_ GUARDED_BY(mutex_);
};

class FaultyConnection final : public SqlConnection {
 public:
  FaultyConnection(std::unique_ptr<SqlConnection> connection, Faults& faults)
      : connection_(std::move(connection)), faults_(faults) {}

  absl::StatusOr<std::int64_t> Execute(const Statement& statement, std::initializer_list<SqlValue> values,
                                       const OnRow& on_row) override {
    const absl::Status status = faults_.Step(statement.name, values);
    if (!status.ok()) return status;
    return connection_->Execute(statement, values, on_row);
  }
  absl::Status Begin() override {
    const absl::Status status = faults_.Step("begin", {});
    return status.ok() ? connection_->Begin() : status;
  }
  absl::Status Commit() override {
    const absl::Status status = faults_.Step("commit", {});
    if (status.ok() || ReasonOf(status) == Reason::kOutcomeUnknown) {
      const absl::Status committed = connection_->Commit();
      if (!committed.ok()) return committed;
    }
    return status;
  }
  void Rollback() override { connection_->Rollback(); }
  void SetDeadline(Deadline deadline) override { connection_->SetDeadline(deadline); }

 private:
  const std::unique_ptr<SqlConnection> connection_;
  Faults& faults_;
};

inline std::unique_ptr<SqlConnection> Faults::Wrap(std::unique_ptr<SqlConnection> connection) {
  return std::make_unique<FaultyConnection>(std::move(connection), *this);
}

}  // namespace fabro::testing
