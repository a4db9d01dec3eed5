#include "core/base/run_status.h"

namespace fabro {
namespace {

constexpr std::array<std::string_view, kAllRunStatuses.size()> kNames{
    "queued", "starting", "running", "paused", "completed", "failed", "cancelled"};

}  // namespace

std::string_view ToString(RunStatus status) { return kNames[static_cast<std::size_t>(status)]; }

std::optional<RunStatus> ParseRunStatus(std::string_view text) {
  for (const RunStatus status : kAllRunStatuses) {
    if (ToString(status) == text) return status;
  }
  return std::nullopt;
}

}  // namespace fabro
