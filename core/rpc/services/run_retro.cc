#include "core/rpc/services/run_retro.h"

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/base/strings.h"
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
    if (in_hand != in_hand_.end()) TakeOfStage(event, *out_.mutable_stages(in_hand->second));
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
    } else if (event.has_stall_watchdog_timeout()) {
      const v1::StallWatchdogTimeout& stall = event.stall_watchdog_timeout();
      AddFriction(v1::FRICTION_KIND_TIMEOUT,
                  StrCat("Nothing happened in ", stall.node(), " for ", stall.idle_seconds(), " seconds."),
                  "");
    }
  }

  void TakeOfStage(const v1::Event& event, v1::StageRetro& stage) {
    if (event.has_stage_failed()) {
      TakeFailure(event.stage_failed(), stage);
    } else if (event.has_stage_retrying()) {
      stage.set_retries(stage.retries() + 1);
    } else if (event.has_interview_timeout()) {
      AddFriction(v1::FRICTION_KIND_TIMEOUT, "No answer came in time.", stage.stage_id());
    } else if (event.has_stage_completed()) {
      TakeCompletion(event.stage_completed(), stage);
    }
  }

  void TakeFailure(const v1::StageFailed& failed, v1::StageRetro& stage) {
    const std::string& reason = failed.failure().message();
    if (failed.will_retry()) {
      AddFriction(v1::FRICTION_KIND_RETRY,
                  StrCat("Attempt ", failed.attempt(), " of ", failed.max_attempts(), " failed: ", reason),
                  stage.stage_id());
      return;
    }
    stage.set_failure_reason(reason);
    if (failed.failure().failure_class() == v1::FAILURE_CLASS_CANCELED) return;  // somebody's wish
    AddFriction(v1::FRICTION_KIND_TOOL_FAILURE, reason, stage.stage_id());
  }

  void TakeCompletion(const v1::StageCompleted& done, v1::StageRetro& stage) {
    stage.set_status(std::string(engine::ToString(engine::FromProto(done.status()))));
    if (done.has_usage() && done.usage().has_cost()) stage.set_cost(done.usage().cost());
    if (done.has_notes()) stage.set_notes(done.notes());
    if (done.has_failure()) stage.set_failure_reason(done.failure().message());
    stage.mutable_files_touched()->CopyFrom(done.files_touched());
    if (done.status() != v1::OUTCOME_STATUS_FAIL) return;
    AddFriction(v1::FRICTION_KIND_TOOL_FAILURE, done.failure().message(), stage.stage_id());
  }

  void AddFriction(v1::FrictionKind kind, std::string description, const std::string& stage_id) {
    v1::FrictionPoint& point = *out_.add_friction_points();
    point.set_kind(kind);
    point.set_description(std::move(description));
    if (!stage_id.empty()) point.set_stage_id(stage_id);
  }

  const std::vector<engine::StageView> stages_;
  v1::RetroDetail& out_;
  std::map<std::uint32_t, int> in_hand_;  // by course, into the stages
};

}  // namespace

v1::SmoothnessRating SmoothnessOf(const RetroFacts& facts) {
  if (facts.status != RunStatus::kCompleted) return v1::SMOOTHNESS_RATING_FAILED;
  if (facts.friction_points > 4) return v1::SMOOTHNESS_RATING_STRUGGLED;
  if (facts.friction_points > 1 || facts.is_partial) return v1::SMOOTHNESS_RATING_BUMPY;
  if (facts.friction_points == 1) return v1::SMOOTHNESS_RATING_SMOOTH;
  return v1::SMOOTHNESS_RATING_EFFORTLESS;
}

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
  out.set_smoothness(SmoothnessOf({.status = run.machine.status(),
                                   .is_partial = run.machine.outcome() == "partial_success",
                                   .friction_points = out.friction_points_size()}));
  co_return absl::OkStatus();
}

}  // namespace fabro::rpc
