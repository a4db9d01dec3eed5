// From what the core keeps to what the API shows, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/async/task.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/storage/store.h"

namespace google::protobuf {
class Struct;
class Timestamp;
}  // namespace google::protobuf
namespace fabro::workflow {
struct Diagnostic;
}
namespace fabro::v1 {
class ApiQuestion;
class Diagnostic;
class PaginatedRunList;
class RunCheckpoint;
class RunListItem;
class RunStage;
class RunStatusResponse;
}  // namespace fabro::v1
namespace fabro::engine {
struct CheckpointView;
struct QuestionView;
struct StageView;
}  // namespace fabro::engine

namespace fabro::rpc {

// `Run <text> not found.`, for every text that names no run.
absl::Status RunNotFound(std::string_view id);
absl::StatusOr<RunId> ParseRunId(std::string_view id);
Task<absl::StatusOr<storage::RunRow>> FindRun(storage::Store& store, std::string id);

void Put(Timestamp at, google::protobuf::Timestamp* out);
void Put(const storage::RunRow& row, v1::RunStatusResponse* out);
void Put(const storage::RunRow& row, Timestamp now, v1::RunListItem* out);
void Put(const workflow::Diagnostic& diagnostic, v1::Diagnostic* out);
void Put(const engine::QuestionView& question, v1::ApiQuestion* out);
void Put(const engine::StageView& stage, v1::RunStage* out);
absl::Status Put(const engine::CheckpointView& checkpoint, v1::RunCheckpoint* out);
absl::Status PutJson(const std::string& json,
                     google::protobuf::Struct* out);  // DataLoss when it is no object

// A page of a list: what page[limit] and page[offset] say, clamped.
struct Page {
  std::int64_t limit = 20;
  std::int64_t offset = 0;
};
void Put(const storage::RunPage& runs, const Page& page, Timestamp now, v1::PaginatedRunList* out);

template <typename Request>
Page PageOf(const Request& request) {
  Page page;
  if (request.has_page_limit())
    page.limit = request.page_limit() < 1 ? 1 : request.page_limit() > 100 ? 100 : request.page_limit();
  if (request.has_page_offset() && request.page_offset() > 0) page.offset = request.page_offset();
  return page;
}

}  // namespace fabro::rpc
