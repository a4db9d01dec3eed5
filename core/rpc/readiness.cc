#include "core/rpc/readiness.h"

#include <sys/statvfs.h>

#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace fabro::rpc {
namespace {

constexpr std::chrono::seconds kFresh{1};
constexpr std::chrono::seconds kBetweenTries{1};

}  // namespace

Readiness::Readiness(storage::Store& store, TimeSource& time, std::string storage_dir,
                     std::function<bool()> scheduler_runs)
    : store_(store),
      time_(time),
      storage_dir_(std::move(storage_dir)),
      scheduler_runs_(std::move(scheduler_runs)) {}

ReadinessCheck Readiness::LookAtDisk() const {
  ReadinessCheck check{"disk", true, ""};
  struct statvfs disk{};
  if (::statvfs(storage_dir_.c_str(), &disk) != 0) {
    check.ok = false;
    check.detail = MessageOf(ErrnoError(errno, "looking at " + storage_dir_));
    return check;
  }
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  check.ok = free >= kLeastFreeBytes;
  check.detail = StrCat(free >> 20, " MiB free");
  return check;
}

Task<std::vector<ReadinessCheck>> Readiness::Look() {
  {
    MutexLock lock(&mutex_);
    if (!found_.empty() && time_.Steady() - looked_at_ < kFresh) co_return found_;
  }
  const absl::Status written = co_await store_.CheckWritable();
  std::vector<ReadinessCheck> found;
  found.push_back({"database", written.ok(), written.ok() ? "" : MessageOf(written)});
  found.push_back(LookAtDisk());
  found.push_back({"scheduler", scheduler_runs_(), ""});
  MutexLock lock(&mutex_);
  found.push_back(sandbox_);
  found_ = found;
  looked_at_ = time_.Steady();
  co_return found;
}

void Readiness::SetSandbox(std::string_view provider, const absl::Status& usable) {
  MutexLock lock(&mutex_);
  sandbox_ = {"sandbox", usable.ok(), std::string(usable.ok() ? provider : MessageOf(usable))};
  found_.clear();
}

Task<void> Readiness::WatchStorage() {
  bool failed = false;
  while (true) {
    const absl::Status slept = co_await time_.Sleep(kBetweenTries);
    if (!slept.ok()) co_return;
    if (store_.WritesFail()) {
      const absl::Status tried = co_await store_.CheckWritable();
      if (!tried.ok() && !std::exchange(failed, true)) {
        log::Error("the database cannot be written; changes are refused until it can", {{"error", tried}});
      }
    }
    if (failed && !store_.WritesFail()) {
      failed = false;
      log::Info("the database can be written again");
    }
  }
}

}  // namespace fabro::rpc
