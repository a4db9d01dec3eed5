#include "core/stages/work_folder.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::stages {

Task<absl::Status> MakeWorkFolder(BlockingPool& pool, std::string path) {
  auto make = [path = std::move(path)]() -> absl::Status {
    std::error_code failed;
    std::filesystem::create_directories(path, failed);
    if (failed) return ErrnoError(failed.value(), StrCat("making the working directory ", path));
    return absl::OkStatus();
  };
  co_return co_await RunBlocking(pool, std::move(make));
}

}  // namespace fabro::stages
