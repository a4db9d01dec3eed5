// Keeps the write-ahead log short without making commits wait for it.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "core/base/mutex.h"

namespace fabro::storage::sqlite {

class SqliteConnection;

// The bulk of the log is copied into the database by a thread of its own while commits go on. SQLite starts
// the log over only at an instant when all of it has been copied, so the writer, between two transactions,
// copies the little that came in meanwhile. Should readers keep the log from starting over, it is emptied by
// force at `kHardPages`.
class Checkpointer {
 public:
  static constexpr int kSoftPages = 4096;   // 16 MiB
  static constexpr int kHardPages = 65536;  // 256 MiB

  // Opens another connection only when this one fails.
  Checkpointer(std::string path, std::unique_ptr<SqliteConnection> connection);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // Both on the writer's thread: after a commit that left so many pages in the log, and when no transaction
  // is open.
  void OnCommit(int log_pages);
  void Tidy(SqliteConnection& writer);

 private:
  enum class Phase { kIdle, kAsked, kCopied };

  void Loop(std::unique_ptr<SqliteConnection> connection);

  const std::string path_;
  int log_pages_ = 0;            // the writer's
  int next_pages_ = kSoftPages;  // the writer's: where to begin the next round
  Mutex mutex_;
  CondVar changed_;
  Phase phase_ GUARDED_BY(mutex_) = Phase::kIdle;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: ended before the rest goes
};

}  // namespace fabro::storage::sqlite
