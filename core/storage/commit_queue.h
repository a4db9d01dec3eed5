// Groups concurrent commits into one transaction each, so that they share its fsync.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/base/mutex.h"
#include "core/storage/row_cache.h"
#include "core/storage/sql_connection.h"
#include "core/storage/store.h"
#include "core/storage/write_batch.h"

namespace fabro::storage {

struct Applied;

// One thread writes. It takes what waits, up to the limits, applies it in order and commits; meanwhile the
// next group forms by itself, without a timer. A batch whose condition fails is refused alone. After an
// unexpected error the group is rolled back and repeated one batch per transaction, so that a bad one harms
// only itself. When the commit itself fails in an unknown way, the whole group is told so and the connection
// is replaced before more is written.
//
// Thread-safe. Outlives every Commit() in flight.
class CommitQueue {
 public:
  struct Limits {
    // Full: Commit refuses with ResourceExhausted. A caller has one commit in flight, so this bounds callers.
    std::size_t waiting = 16384;
    std::size_t waiting_bytes = std::size_t{256} << 20;
    std::size_t group = 512;
    std::size_t group_bytes = std::size_t{1} << 20;
    // A leader of at most this size is not held back by followers larger than it in all.
    std::size_t small_bytes = std::size_t{128} << 10;
  };

  // The cache is written before callers learn of their commit. Fails when no connection can be opened.
  static absl::StatusOr<std::unique_ptr<CommitQueue>> Start(ConnectionFactory factory, RowCache& cache,
                                                            Limits limits);
  ~CommitQueue();
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  // See Store::Commit. A batch without writes is a probe: it makes a durable write that changes nothing.
  Task<absl::StatusOr<CommitResult>> Commit(WriteBatch batch);

  const CommitMetrics& metrics() const { return metrics_; }
  bool writes_fail() const { return writes_fail_; }  // the last transaction failed; thread-safe

  void Stop();  // refuses new work, finishes queued work, closes the connection. Idempotent

 private:
  struct Pending;
  using Group = std::vector<std::shared_ptr<Pending>>;  // shared by the queue and the waiting coroutine

  CommitQueue(ConnectionFactory factory, RowCache& cache, Limits limits,
              std::unique_ptr<SqlConnection> connection);

  absl::Status Enqueue(std::shared_ptr<Pending> pending);
  bool Withdraw(const std::shared_ptr<Pending>& pending);  // false: already taken by the writer

  // On the writer's thread.
  void WriteLoop();
  Group TakeGroup();  // blocks; empty at the end
  void Write(const Group& group);
  void CountGroup(const Group& group, std::chrono::steady_clock::time_point begun);
  bool TryTransaction(const Group& group);  // false: to be repeated one by one
  void FinishUnknown(const Group& group, const std::vector<Applied>& applied, const absl::Status& status);
  void Publish(Pending& pending, Applied& applied);
  absl::Status EnsureConnection();

  const ConnectionFactory factory_;
  RowCache& cache_;
  const Limits limits_;
  std::unique_ptr<SqlConnection> connection_;  // the writer's
  std::atomic<bool> writes_fail_ = false;
  CommitMetrics metrics_;
  Mutex mutex_;
  CondVar arrived_;
  std::deque<std::shared_ptr<Pending>> waiting_ GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ GUARDED_BY(mutex_) = 0;
  bool writer_sleeps_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread writer_;  // last: ended before the rest goes
};

}  // namespace fabro::storage
