// Carries out write batches inside an open transaction.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/storage/sql_connection.h"
#include "core/storage/write_batch.h"

namespace fabro::storage {

// Runs that came to a status or left it, for the table of counts.
class RunCounts {
 public:
  void Add(std::string_view workflow_slug, RunStatus status, std::int64_t runs);
  void Add(const RunCounts& other);
  absl::Status Write(SqlConnection& connection) const;  // what does not cancel out

 private:
  std::map<std::pair<std::string, RunStatus>, std::int64_t> changes_;
};

// What became of a batch.
struct Applied {
  absl::Status status;
  // After an error: true if the transaction is as it was before the batch, so that others in it can go on.
  bool clean = true;
  CommitResult result;
  std::vector<RunId> deleted;  // with child runs
  RunCounts counts;            // to be written before the transaction commits, unless there is an error
  Usage used;                  // likewise
};

// Also writes into the batch: the rows' new heads.
Applied Apply(SqlConnection& connection, WriteBatch& batch);

absl::Status WriteUsage(SqlConnection& connection, const Usage& used);

// An estimate of what the batch holds, for limits.
std::size_t SizeOf(const WriteBatch& batch);

}  // namespace fabro::storage
