#include "core/storage/sqlite/checkpointer.h"

#include <pthread.h>

#include <utility>

#include "core/storage/sqlite/sqlite_connection.h"

namespace fabro::storage::sqlite {

Checkpointer::Checkpointer(std::string path, std::unique_ptr<SqliteConnection> connection)
    : path_(std::move(path)),
      thread_([this, connection = std::move(connection)]() mutable { Loop(std::move(connection)); }) {
  pthread_setname_np(thread_.native_handle(), "store-checkpt");
}

Checkpointer::~Checkpointer() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void Checkpointer::OnCommit(int log_pages) {
  log_pages_ = log_pages;
  if (log_pages < kSoftPages) next_pages_ = kSoftPages;  // it started over
  if (log_pages < next_pages_) return;
  MutexLock lock(&mutex_);
  if (phase_ != Phase::kIdle) return;
  phase_ = Phase::kAsked;
  changed_.NotifyAll();
}

void Checkpointer::Tidy(SqliteConnection& writer) {
  if (log_pages_ < kSoftPages) return;
  {
    MutexLock lock(&mutex_);
    if (phase_ != Phase::kCopied && log_pages_ < kHardPages) return;
    if (phase_ == Phase::kCopied) phase_ = Phase::kIdle;
  }
  // A failure here harms nobody: the log only stays longer, and a failing disk shows in the next commit.
  const auto mode = log_pages_ < kHardPages ? SqliteConnection::CheckpointMode::kPassive
                                            : SqliteConnection::CheckpointMode::kTruncate;
  writer.Checkpoint(mode).status().IgnoreError();
  next_pages_ = log_pages_ + kSoftPages;
  log_pages_ = 0;
}

void Checkpointer::Loop(std::unique_ptr<SqliteConnection> connection) {
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (phase_ != Phase::kAsked && !stopping_) changed_.Wait(&mutex_);
      if (stopping_) return;
    }
    if (!connection) {
      auto opened = SqliteConnection::Open(path_, SqliteConnection::Role::kCheckpointer);
      if (opened.ok()) connection = *std::move(opened);
    }
    if (connection && !connection->Checkpoint(SqliteConnection::CheckpointMode::kPassive).ok())
      connection.reset();
    MutexLock lock(&mutex_);
    phase_ = Phase::kCopied;
  }
}

}  // namespace fabro::storage::sqlite
