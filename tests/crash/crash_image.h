// What a crash leaves on the disk, taken at any commit of a store that goes on undisturbed.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "core/storage/sql_connection.h"

namespace fabro::testing {

// The database and its write-ahead log as they are at this instant; the shared-memory index is no part of
// what a crash leaves. To be called on the writer's thread, so that no commit is under way.
inline void TakeImage(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const char* name : {"fabro.db", "fabro.db-wal"}) {
    std::error_code none;  // no log yet
    std::filesystem::copy_file(from / name, to / name, std::filesystem::copy_options::overwrite_existing,
                               none);
  }
}

// A place for images: in memory where there is room, as nobody cuts the power of the machine that the test
// runs on, and waiting for its disk at every commit would take ten times as long.
inline std::filesystem::path ParentOfImages() {
  const std::filesystem::path memory = "/dev/shm";
  constexpr std::uintmax_t kEnough = std::uintmax_t{1} << 30;
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(memory, error);
  const bool fits = !error && space.available >= kEnough && ::access(memory.c_str(), W_OK) == 0;
  return fits ? memory : std::filesystem::temp_directory_path();
}

// Calls a test before and after each commit, on the writer's thread and before anybody hears of it.
class ObservedConnection final : public storage::SqlConnection {
 public:
  enum class Moment { kBeforeCommit, kAfterCommit };
  using Observer = std::function<void(Moment)>;

  ObservedConnection(std::unique_ptr<SqlConnection> connection, Observer observer)
      : connection_(std::move(connection)), observer_(std::move(observer)) {}

  absl::StatusOr<std::int64_t> Execute(const storage::Statement& statement,
                                       std::initializer_list<storage::SqlValue> values,
                                       const OnRow& on_row) override {
    return connection_->Execute(statement, values, on_row);
  }
  absl::Status Begin() override { return connection_->Begin(); }
  absl::Status Commit() override {
    observer_(Moment::kBeforeCommit);
    absl::Status status = connection_->Commit();
    observer_(Moment::kAfterCommit);
    return status;
  }
  void Rollback() override { connection_->Rollback(); }
  void SetDeadline(Deadline deadline) override { connection_->SetDeadline(deadline); }

 private:
  const std::unique_ptr<SqlConnection> connection_;
  const Observer observer_;
};

}  // namespace fabro::testing
