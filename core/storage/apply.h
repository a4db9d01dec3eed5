// Carries out write batches inside an open transaction.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "core/storage/sql_connection.h"
#include "core/storage/write_batch.h"

namespace fabro::storage {

// What became of a batch.
struct Applied {
  absl::Status status;
  // After an error: true if the transaction is as it was before the batch, so that others in it can go on.
  bool clean = true;
  CommitResult result;
  std::vector<RunId> deleted;  // with child runs
};

// Also writes into the batch: the rows' new heads.
Applied Apply(SqlConnection& connection, WriteBatch& batch);

// An estimate of what the batch holds, for limits.
std::size_t SizeOf(const WriteBatch& batch);

}  // namespace fabro::storage
