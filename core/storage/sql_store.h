// The store on an SQL database: every backend differs in its connections only.
#pragma once

#include <memory>

#include "core/storage/commit_queue.h"
#include "core/storage/reader_pool.h"
#include "core/storage/store.h"

namespace fabro::storage {

struct StoreLimits {
  CommitQueue::Limits commits;
  ReaderPool::Limits reads;
  RowCache::Limits cache;
};

// The database must have the current schema. `keep_alive` (a lock, a checkpointer) goes away after the
// connections.
absl::StatusOr<std::unique_ptr<Store>> MakeSqlStore(ConnectionFactory writer, ConnectionFactory reader,
                                                    StoreLimits limits, std::shared_ptr<void> keep_alive);

}  // namespace fabro::storage
