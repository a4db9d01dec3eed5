#include "core/engine/stage_finder.h"

#include <limits>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/engine/fold.h"
#include "core/engine/run_state.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

template <typename Message>
absl::Status Parse(std::string_view bytes, Message& message) {
  if (bytes.size() <= std::numeric_limits<int>::max() &&
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kDataLoss, Reason::kInternal, "", "the run's log: a record is not readable");
}

}  // namespace

struct StageFinder::State {
  explicit State(std::size_t nodes) : run(nodes) {}
  RunState run;
  std::optional<FrameNumber> course;  // that the stage is in hand in
};

StageFinder::StageFinder(std::shared_ptr<const workflow::Graph> graph, std::string stage_id)
    : graph_(std::move(graph)),
      stage_id_(std::move(stage_id)),
      state_(std::make_unique<State>(graph_->nodes.size())) {}

StageFinder::~StageFinder() = default;

absl::StatusOr<bool> StageFinder::Take(const RecordView& record) {
  if (over_) return false;
  v1::Event event;
  internal::v1::StateDelta delta;
  FABRO_RETURN_IF_ERROR(Parse(record.event, event));
  FABRO_RETURN_IF_ERROR(Parse(record.delta, delta));
  RunState& run = state_->run;
  FABRO_RETURN_IF_ERROR(Fold(*graph_, event, delta, run));
  if (event.has_stage_started()) {
    const Cursor& cursor = run.frames.at(delta.frame()).cursor;
    const bool is_it = StageIdOf(*graph_, run.stages[cursor.stage]) == stage_id_;
    if (is_it) state_->course = delta.frame();
    return is_it;
  }
  if (!state_->course || *state_->course != delta.frame()) return false;
  over_ = event.has_stage_completed() || (event.has_stage_failed() && !event.stage_failed().will_retry());
  return true;
}

}  // namespace fabro::engine
