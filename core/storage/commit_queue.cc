#include "core/storage/commit_queue.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "core/async/executor.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/storage/apply.h"

namespace fabro::storage {

struct CommitQueue::Pending {
  explicit Pending(WriteBatch b) : batch(std::move(b)), bytes(SizeOf(batch)) {}

  void Finish(absl::StatusOr<CommitResult> outcome) {
    result = std::move(outcome);
    if (!done.Complete(absl::OkStatus())) late.Complete(absl::OkStatus());
  }

  WriteBatch batch;
  const std::size_t bytes;
  absl::StatusOr<CommitResult> result = CommitResult{};
  Waiter done;
  Waiter late;  // instead of `done`, for a caller that was cancelled too late to take the batch back
};

absl::StatusOr<std::unique_ptr<CommitQueue>> CommitQueue::Start(ConnectionFactory factory, RowCache& cache,
                                                                Limits limits) {
  absl::StatusOr<std::unique_ptr<SqlConnection>> connection = factory();
  if (!connection.ok()) return connection.status();
  return std::unique_ptr<CommitQueue>(
      new CommitQueue(std::move(factory), cache, limits, *std::move(connection)));
}

CommitQueue::CommitQueue(ConnectionFactory factory, RowCache& cache, Limits limits,
                         std::unique_ptr<SqlConnection> connection)
    : factory_(std::move(factory)),
      cache_(cache),
      limits_(limits),
      connection_(std::move(connection)),
      writer_([this] { WriteLoop(); }) {
  pthread_setname_np(writer_.native_handle(), "store-writer");
}

CommitQueue::~CommitQueue() { Stop(); }

void CommitQueue::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    arrived_.NotifyOne();
  }
  if (writer_.joinable()) writer_.join();
  connection_.reset();
}

Task<absl::StatusOr<CommitResult>> CommitQueue::Commit(WriteBatch batch) {
  if (co_await IsCancelled()) co_return Cancelled("cancelled before the commit");
  auto pending = std::make_shared<Pending>(std::move(batch));
  absl::Status queued = Enqueue(pending);
  if (!queued.ok()) co_return queued;
  absl::Status waited = co_await pending->done.Wait();
  if (!waited.ok()) {
    if (Withdraw(pending)) co_return waited;
    absl::Status late = co_await pending->late.WaitUncancelled();
    late.IgnoreError();  // Finish() only ever says OK; the outcome is in `result`
  }
  co_return std::move(pending->result);
}

absl::Status CommitQueue::Enqueue(std::shared_ptr<Pending> pending) {
  bool wake = false;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return Unavailable(Reason::kDraining, "", "the store is closing");
    if (waiting_.size() >= limits_.waiting || waiting_bytes_ + pending->bytes > limits_.waiting_bytes) {
      return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, "", "too many commits are waiting");
    }
    waiting_bytes_ += pending->bytes;
    waiting_.push_back(std::move(pending));
    wake = std::exchange(writer_sleeps_, false);
  }
  if (wake) arrived_.NotifyOne();
  return absl::OkStatus();
}

bool CommitQueue::Withdraw(const std::shared_ptr<Pending>& pending) {
  MutexLock lock(&mutex_);
  const auto found = std::find(waiting_.begin(), waiting_.end(), pending);
  if (found == waiting_.end()) return false;
  waiting_bytes_ -= pending->bytes;
  waiting_.erase(found);
  return true;
}

void CommitQueue::WriteLoop() {
  for (Group group = TakeGroup(); !group.empty(); group = TakeGroup()) Write(group);
}

CommitQueue::Group CommitQueue::TakeGroup() {
  MutexLock lock(&mutex_);
  while (waiting_.empty() && !stopping_) {
    writer_sleeps_ = true;
    arrived_.Wait(&mutex_);
  }
  writer_sleeps_ = false;
  Group group;
  std::size_t bytes = 0;
  std::size_t max_bytes = limits_.group_bytes;
  while (!waiting_.empty() && group.size() < limits_.group) {
    const std::size_t next = waiting_.front()->bytes;
    if (group.empty()) {
      if (next <= limits_.small_bytes) max_bytes = std::min(max_bytes, next + limits_.small_bytes);
    } else if (bytes + next > max_bytes) {
      break;
    }
    bytes += next;
    group.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_bytes_ -= bytes;
  return group;
}

absl::Status CommitQueue::EnsureConnection() {
  if (connection_) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<SqlConnection>> connection = factory_();
  if (!connection.ok()) return connection.status();
  connection_ = *std::move(connection);
  return absl::OkStatus();
}

void CommitQueue::Write(const Group& group) {
  const absl::Status connected = EnsureConnection();
  if (!connected.ok()) {
    writes_fail_ = true;
    for (const auto& pending : group) pending->Finish(connected);
    return;
  }
  if (TryTransaction(group)) return;
  for (const auto& pending : group) {
    const absl::Status reconnected = EnsureConnection();
    if (!reconnected.ok()) {
      pending->Finish(reconnected);
      continue;
    }
    TryTransaction({pending});
  }
}

// What the group holds, once it is written.
void CommitQueue::CountGroup(const Group& group, std::chrono::steady_clock::time_point begun) {
  metrics_.groups.Observe(std::chrono::steady_clock::now() - begun);
  metrics_.batches.Add(group.size());
  std::uint64_t records = 0;
  for (const auto& pending : group) {
    for (const storage::Write& write : pending->batch.writes) {
      if (const auto* create = std::get_if<CreateRun>(&write)) records += create->records.size();
      if (const auto* append = std::get_if<AppendRecords>(&write)) records += append->records.size();
    }
  }
  metrics_.records.Add(records);
}

bool CommitQueue::TryTransaction(const Group& group) {
  const auto begun = std::chrono::steady_clock::now();
  std::vector<Applied> applied;
  applied.reserve(group.size());
  RunCounts counts;
  Usage used;
  absl::Status failure = connection_->Begin();
  for (std::size_t i = 0; failure.ok() && i < group.size(); ++i) {
    applied.push_back(Apply(*connection_, group[i]->batch));
    if (!applied.back().clean) failure = applied.back().status;
    if (!applied.back().status.ok()) continue;
    counts.Add(applied.back().counts);
    used.Add(applied.back().used);
  }
  if (failure.ok()) failure = counts.Write(*connection_);
  if (failure.ok()) failure = WriteUsage(*connection_, used);
  if (failure.ok()) failure = connection_->Commit();
  if (!failure.ok()) metrics_.failures.Add();
  if (failure.ok() || ReasonOf(failure) == Reason::kStorageFailed) writes_fail_ = !failure.ok();
  if (failure.ok()) {
    CountGroup(group, begun);
    for (std::size_t i = 0; i < group.size(); ++i) Publish(*group[i], applied[i]);
    for (std::size_t i = 0; i < group.size(); ++i) {
      const Applied& outcome = applied[i];
      group[i]->Finish(outcome.status.ok() ? absl::StatusOr<CommitResult>(outcome.result) : outcome.status);
    }
    return true;
  }
  if (ReasonOf(failure) == Reason::kOutcomeUnknown) {
    FinishUnknown(group, applied, failure);
    return true;
  }
  connection_->Rollback();
  if (group.size() > 1) return false;
  group.front()->Finish(failure);
  return true;
}

void CommitQueue::FinishUnknown(const Group& group, const std::vector<Applied>& applied,
                                const absl::Status& status) {
  connection_.reset();
  for (std::size_t i = 0; i < group.size(); ++i) {
    for (const auto& write : group[i]->batch.writes) {
      if (const auto* create = std::get_if<CreateRun>(&write)) cache_.Erase(create->row.id);
      if (const auto* append = std::get_if<AppendRecords>(&write)) cache_.Erase(append->row.id);
    }
    for (const RunId run : applied[i].deleted) cache_.Erase(run);
    group[i]->Finish(applied[i].status.ok() ? status : applied[i].status);
  }
}

void CommitQueue::Publish(Pending& pending, Applied& applied) {
  if (!applied.status.ok()) return;
  for (auto& write : pending.batch.writes) {
    if (auto* create = std::get_if<CreateRun>(&write)) cache_.Put(std::move(create->row));
    if (auto* append = std::get_if<AppendRecords>(&write)) cache_.Put(std::move(append->row));
  }
  for (const RunId run : applied.deleted) cache_.Erase(run);
}

}  // namespace fabro::storage
