#include "core/rpc/services/run_retro.h"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/hindsight.h"
#include "core/engine/outcome.h"
#include "core/engine/views.h"
#include "core/engine/words.h"
#include "core/rpc/services/convert.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/retro.pb.h"

namespace fabro::rpc {
namespace {

// Takes a run's records in order.
class RetroReader {
 public:
  RetroReader(std::vector<engine::StageView> stages, v1::RetroDetail& out)
      : stages_(std::move(stages)), out_(out) {}

  absl::Status Take(const storage::EventRecord& record) {
    v1::Event event;
    internal::v1::StateDelta delta;
    if (!event.ParseFromString(record.event) || !delta.ParseFromString(record.delta)) {
      return absl::DataLossError("an event is unreadable");
    }
    if (event.has_stage_started() && event.stage_started().attempt() <= 1) return Begin(delta.frame());
    TakeOfRun(event);
    const auto in_hand = in_hand_.find(delta.frame());
    v1::StageRetro* stage = in_hand == in_hand_.end() ? nullptr : out_.mutable_stages(in_hand->second);
    if (stage != nullptr) TakeOfStage(event, *stage);
    TakeFriction(event, stage == nullptr || event.has_stall_watchdog_timeout() ? "" : stage->stage_id());
    return absl::OkStatus();
  }

  void Finish() {
    v1::RetroStats& stats = *out_.mutable_stats();
    std::set<std::string> files;
    for (int i = 0; i < out_.stages_size(); ++i) {
      const v1::StageRetro& stage = out_.stages(i);
      stats.set_total_retries(stats.total_retries() + stage.retries());
      if (stage.has_cost()) stats.set_total_cost(stats.total_cost() + stage.cost());
      files.insert(stage.files_touched().begin(), stage.files_touched().end());
      const engine::StageState state = stages_[static_cast<std::size_t>(i)].state;
      if (state == engine::StageState::kCompleted) stats.set_stages_completed(stats.stages_completed() + 1);
      if (state == engine::StageState::kFailed) stats.set_stages_failed(stats.stages_failed() + 1);
    }
    for (const std::string& file : files) stats.add_files_touched(file);
  }

 private:
  absl::Status Begin(std::uint32_t frame) {
    const int at = out_.stages_size();
    if (static_cast<std::size_t>(at) >= stages_.size()) {
      return absl::DataLossError("a run's log has stages that the run has not");
    }
    const engine::StageView& view = stages_[static_cast<std::size_t>(at)];
    v1::StageRetro& stage = *out_.add_stages();
    stage.set_stage_id(view.id);
    stage.set_stage_label(view.name);
    stage.set_status(std::string(engine::ToString(view.state)));
    if (view.duration) stage.set_duration_ms(view.duration->count());
    in_hand_[frame] = at;
    return absl::OkStatus();
  }

  void TakeOfRun(const v1::Event& event) {
    v1::RetroStats& stats = *out_.mutable_stats();
    if (event.has_workflow_run_completed()) {
      stats.set_total_duration_ms(static_cast<std::int64_t>(event.workflow_run_completed().duration_ms()));
    } else if (event.has_workflow_run_failed()) {
      stats.set_total_duration_ms(static_cast<std::int64_t>(event.workflow_run_failed().duration_ms()));
    } else if (event.has_workflow_run_cancelled()) {
      stats.set_total_duration_ms(static_cast<std::int64_t>(event.workflow_run_cancelled().duration_ms()));
    }
  }

  void TakeFriction(const v1::Event& event, const std::string& stage_id) {
    const std::optional<v1::FrictionKind> kind = engine::FrictionOf(event);
    if (!kind) return;
    v1::FrictionPoint& point = *out_.add_friction_points();
    point.set_kind(*kind);
    point.set_description(DescriptionOf(event));
    if (!stage_id.empty()) point.set_stage_id(stage_id);
  }

  static std::string DescriptionOf(const v1::Event& event) {
    if (event.has_stall_watchdog_timeout()) {
      const v1::StallWatchdogTimeout& stall = event.stall_watchdog_timeout();
      return StrCat("Nothing happened in ", stall.node(), " for ", stall.idle_seconds(), " seconds.");
    }
    if (event.has_interview_timeout()) return "No answer came in time.";
    if (event.has_stage_completed()) return event.stage_completed().failure().message();
    const v1::StageFailed& failed = event.stage_failed();
    if (!failed.will_retry()) return failed.failure().message();
    return StrCat("Attempt ", failed.attempt(), " of ", failed.max_attempts(),
                  " failed: ", failed.failure().message());
  }

  static void TakeOfStage(const v1::Event& event, v1::StageRetro& stage) {
    if (event.has_stage_failed() && !event.stage_failed().will_retry()) {
      stage.set_failure_reason(event.stage_failed().failure().message());
    } else if (event.has_stage_retrying()) {
      stage.set_retries(stage.retries() + 1);
    } else if (event.has_stage_completed()) {
      TakeCompletion(event.stage_completed(), stage);
    }
  }

  static void TakeCompletion(const v1::StageCompleted& done, v1::StageRetro& stage) {
    stage.set_status(std::string(engine::ToString(engine::FromProto(done.status()))));
    if (done.has_usage() && done.usage().has_cost()) stage.set_cost(done.usage().cost());
    if (done.has_notes()) stage.set_notes(done.notes());
    if (done.has_failure()) stage.set_failure_reason(done.failure().message());
    stage.mutable_files_touched()->CopyFrom(done.files_touched());
  }

  const std::vector<engine::StageView> stages_;
  v1::RetroDetail& out_;
  std::map<std::uint32_t, int> in_hand_;  // by course, into the stages
};

}  // namespace

Task<absl::Status> TellRetro(storage::Store& store, runtime::LoadedRun run, v1::RetroDetail& out) {
  out.set_run_id(run.row.id.ToString());
  out.set_workflow_name(run.graph->name.empty() ? run.row.workflow_name : run.graph->name);
  out.set_goal(run.row.goal);
  RetroReader reader(run.machine.Stages(), out);
  const EventSeq head = run.machine.head();
  EventSeq after{};
  while (after < head) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::EventRecord> page,
                              co_await store.ReadRecords(run.row.id, after, storage::ReadLimits()));
    if (page.empty()) break;
    for (const storage::EventRecord& record : page) {
      if (record.seq <= head) FABRO_CO_RETURN_IF_ERROR(reader.Take(record));
    }
    after = page.back().seq;
  }
  reader.Finish();
  Put(run.machine.finished_at().value_or(run.row.updated_at), out.mutable_timestamp());
  out.set_smoothness(static_cast<v1::SmoothnessRating>(run.machine.Hindsight().smoothness));
  co_return absl::OkStatus();
}

void Put(const storage::Retro& retro, v1::RetroListItem* out) {
  out->mutable_run()->set_id(retro.run.ToString());
  out->mutable_run()->set_title(retro.title);
  out->mutable_workflow()->set_slug(retro.workflow_slug);
  Put(retro.stats.finished_at, out->mutable_timestamp());
  out->set_smoothness(static_cast<v1::SmoothnessRating>(retro.stats.smoothness));
  out->set_friction_point_count(static_cast<std::int32_t>(retro.stats.friction_points));
  v1::RetroStats& stats = *out->mutable_stats();
  stats.set_total_duration_ms(retro.stats.duration.count());
  if (retro.stats.cost_nanos) stats.set_total_cost(static_cast<double>(*retro.stats.cost_nanos) / 1e9);
  stats.set_total_retries(static_cast<std::int32_t>(retro.stats.retries));
  stats.set_stages_completed(static_cast<std::int32_t>(retro.stats.stages_completed));
  stats.set_stages_failed(static_cast<std::int32_t>(retro.stats.stages_failed));
  for (const std::string& file : retro.stats.files_touched) stats.add_files_touched(file);
}

}  // namespace fabro::rpc
