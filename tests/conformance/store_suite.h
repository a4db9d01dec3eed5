// The specification of Store as tests. A backend joins by instantiating StoreSuite with a maker of its
// harness.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "core/async/runtime.h"
#include "core/storage/sql_store.h"
#include "core/storage/store.h"
#include "tests/support/run_task.h"

namespace fabro::storage {

// One empty database.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  // Opens it, again and again if need be: one at a time.
  virtual absl::StatusOr<std::unique_ptr<Store>> Open(StoreLimits limits) = 0;
};

struct Backend {
  std::string name;
  std::function<std::unique_ptr<StoreHarness>()> make;
};

class StoreSuite : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override;

  void Reopen(StoreLimits limits = {});
  template <typename T>
  T Await(Task<T> task) {
    return testing::RunTask(runtime_.executor(), std::move(task));
  }
  Store& store() { return *store_; }

  // Ids that increase with n.
  static RunId Id(int n);
  static RunRow Row(int n);
  static RunSource Source(int n);
  static std::vector<RecordBytes> Records(int first,
                                          int count);  // the events are "e<seq>", the deltas "d<seq>"

  absl::StatusOr<CommitResult> Commit(Write write);
  absl::StatusOr<CommitResult> Commit(std::vector<Write> writes);
  absl::StatusOr<CommitResult> Create(RunRow row, int records = 0);
  absl::StatusOr<CommitResult> Append(RunRow row, int head, int records,
                                      std::optional<std::string> snapshot = {});
  RunRow Get(int n);
  std::vector<int> List(RunFilter filter, std::int64_t limit = 100, std::int64_t offset = 0);

  Runtime runtime_{2};
  std::unique_ptr<StoreHarness> harness_;
  std::unique_ptr<Store> store_;
};

}  // namespace fabro::storage
