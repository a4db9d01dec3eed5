// Threads with a database connection each, for reads.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/base/mutex.h"
#include "core/storage/sql_connection.h"

namespace fabro::storage {

// Thread-safe. Outlives every Run() in flight.
class ReaderPool {
 public:
  struct Limits {
    int threads = 2;
    std::size_t waiting = 4096;  // full: Run refuses with ResourceExhausted
    std::chrono::milliseconds time_limit = std::chrono::seconds(10);  // of one read, from when it begins
  };

  static absl::StatusOr<std::unique_ptr<ReaderPool>> Open(ConnectionFactory factory, Limits limits);
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  // Runs fn(connection), which returns a Status or StatusOr, on one of the threads.
  template <typename Fn>
  auto Run(Fn fn) -> Task<std::invoke_result_t<Fn&, SqlConnection&>> {
    using Result = std::invoke_result_t<Fn&, SqlConnection&>;
    auto call = [this, fn = std::move(fn)]() mutable -> Result {
      absl::StatusOr<std::unique_ptr<SqlConnection>> connection = Borrow();
      if (!connection.ok()) return connection.status();
      Result result = fn(**connection);
      GiveBack(*std::move(connection), StatusOf(result));
      return result;
    };
    return RunBlocking(*pool_, std::move(call));
  }

  void Stop();  // refuses new reads, waits for those that run, closes the connections. Idempotent

 private:
  ReaderPool(ConnectionFactory factory, Limits limits);

  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

  absl::StatusOr<std::unique_ptr<SqlConnection>> Borrow();
  // A connection whose storage failed is closed; the next reader opens another.
  void GiveBack(std::unique_ptr<SqlConnection> connection, const absl::Status& outcome);

  const ConnectionFactory factory_;
  const Limits limits_;
  Mutex mutex_;
  CondVar given_back_;
  std::vector<std::unique_ptr<SqlConnection>> idle_ GUARDED_BY(mutex_);
  int borrowed_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<BlockingPool> pool_;  // last: its threads end before the rest goes
};

}  // namespace fabro::storage
