#include "core/storage/reader_pool.h"

#include "core/base/error.h"

namespace fabro::storage {

ReaderPool::ReaderPool(ConnectionFactory factory, Limits limits)
    : factory_(std::move(factory)),
      limits_(limits),
      pool_(std::make_unique<BlockingPool>("store-reader", limits.threads, limits.waiting)) {}

absl::StatusOr<std::unique_ptr<ReaderPool>> ReaderPool::Open(ConnectionFactory factory, Limits limits) {
  // All of them now: what cannot be opened shows at the start, not on a busy day.
  std::vector<std::unique_ptr<SqlConnection>> connections;
  for (int i = 0; i < limits.threads; ++i) {
    absl::StatusOr<std::unique_ptr<SqlConnection>> opened = factory();
    if (!opened.ok()) return opened.status();
    connections.push_back(*std::move(opened));
  }
  std::unique_ptr<ReaderPool> pool(new ReaderPool(std::move(factory), limits));
  MutexLock lock(&pool->mutex_);
  pool->idle_ = std::move(connections);
  return pool;
}

void ReaderPool::Stop() {
  MutexLock lock(&mutex_);
  stopping_ = true;
  while (borrowed_ > 0) given_back_.Wait(&mutex_);
  idle_.clear();
}

absl::StatusOr<std::unique_ptr<SqlConnection>> ReaderPool::Borrow() {
  std::unique_ptr<SqlConnection> connection;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return Unavailable(Reason::kDraining, "", "the store is closing");
    ++borrowed_;
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!connection) {
    absl::StatusOr<std::unique_ptr<SqlConnection>> opened = factory_();
    if (!opened.ok()) {
      GiveBack(nullptr, opened.status());
      return opened;
    }
    connection = *std::move(opened);
  }
  connection->SetDeadline(Deadline::In(limits_.time_limit));
  return connection;
}

void ReaderPool::GiveBack(std::unique_ptr<SqlConnection> connection, const absl::Status& outcome) {
  if (ReasonOf(outcome) == Reason::kStorageFailed) connection.reset();
  MutexLock lock(&mutex_);
  if (connection) idle_.push_back(std::move(connection));
  --borrowed_;
  given_back_.NotifyAll();
}

}  // namespace fabro::storage
