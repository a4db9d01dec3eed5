#include "core/engine/history.h"

#include <limits>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/engine/words.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

template <typename Message>
bool Parse(std::string_view bytes, Message& message) {
  return bytes.size() <= std::numeric_limits<int>::max() &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

absl::StatusOr<std::optional<CheckpointEntry>> CheckpointIn(const RecordView& record) {
  v1::Event event;
  internal::v1::StateDelta delta;
  if (!Parse(record.event, event) || !Parse(record.delta, delta)) {
    return Error(absl::StatusCode::kDataLoss, Reason::kInternal, "",
                 "the run's log: a record is not readable");
  }
  if (!event.has_checkpoint_completed() || delta.frame() != 0) return std::optional<CheckpointEntry>();
  const v1::CheckpointCompleted& completed = event.checkpoint_completed();
  return CheckpointEntry{.id = EventSeq(event.id()),
                         .at = {event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000},
                         .node_id = completed.node_id(),
                         .status = FromProto(completed.status()),
                         .git_commit_sha = completed.git_commit_sha()};
}

}  // namespace fabro::engine
