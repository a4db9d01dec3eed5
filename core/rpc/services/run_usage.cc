#include "core/rpc/services/run_usage.h"

#include <string>
#include <string_view>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/views.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/common.pb.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/output.pb.h"
#include "fabro/v1/usage.pb.h"

namespace fabro::rpc {
namespace {

template <typename Sums>
void Add(const engine::StageUsage& used, Sums& sums) {
  sums.set_input_tokens(sums.input_tokens() + static_cast<std::int64_t>(used.input_tokens));
  sums.set_output_tokens(sums.output_tokens() + static_cast<std::int64_t>(used.output_tokens));
  sums.set_cost(sums.cost() + used.cost.value_or(0));
}

void Add(const engine::StageView& stage, const StageUse& use, std::map<std::string, v1::UsageByModel>& models,
         v1::RunUsage& response) {
  const double secs = static_cast<double>(use.runtime.count()) / 1000;
  const engine::StageUsage used = use.usage.value_or(engine::StageUsage());
  v1::UsageStage& row = *response.add_stages();
  row.mutable_stage()->set_id(stage.id);
  row.mutable_stage()->set_name(stage.name);
  row.mutable_model()->set_id(used.model);
  row.set_runtime_secs(secs);
  Add(used, *row.mutable_usage());
  v1::UsageTotals& totals = *response.mutable_totals();
  totals.set_runtime_secs(totals.runtime_secs() + secs);
  Add(used, totals);
  if (!use.usage) return;
  v1::UsageByModel& model = models[used.model];
  model.mutable_model()->set_id(used.model);
  model.set_stages(model.stages() + 1);
  Add(used, *model.mutable_usage());
}

template <typename Message>
bool Parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

engine::StageUsage UsageOf(const v1::StageUsage& used) {
  engine::StageUsage usage;
  usage.model = used.model();
  usage.input_tokens = used.input_tokens();
  usage.output_tokens = used.output_tokens();
  if (used.has_cost()) usage.cost = used.cost();
  return usage;
}

}  // namespace

absl::Status UsageReader::Take(const engine::RecordView& record) {
  v1::Event event;
  internal::v1::StateDelta delta;
  if (!Parse(record.event, event) || !Parse(record.delta, delta)) {
    return absl::DataLossError("an event is unreadable");
  }
  if (event.has_stage_started()) {
    if (event.stage_started().attempt() > 1) return absl::OkStatus();
    in_hand_[delta.frame()] = stages_.size();
    stages_.emplace_back();
    return absl::OkStatus();
  }
  const auto in_hand = in_hand_.find(delta.frame());
  if (in_hand == in_hand_.end()) return absl::OkStatus();
  StageUse& stage = stages_[in_hand->second];
  if (event.has_stage_failed()) {
    stage.runtime += std::chrono::milliseconds(event.stage_failed().duration_ms());
  } else if (event.has_stage_completed()) {
    stage.runtime += std::chrono::milliseconds(event.stage_completed().duration_ms());
    if (event.stage_completed().has_usage()) stage.usage = UsageOf(event.stage_completed().usage());
  }
  return absl::OkStatus();
}

Task<absl::Status> TellUsage(storage::Store& store, runtime::LoadedRun run, v1::RunUsage& response) {
  UsageReader reader;
  const EventSeq head = run.machine.head();
  EventSeq after{};
  while (after < head) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::EventRecord> page,
                              co_await store.ReadRecords(run.row.id, after, storage::ReadLimits()));
    if (page.empty()) break;
    for (const storage::EventRecord& record : page) {
      if (record.seq <= head) FABRO_CO_RETURN_IF_ERROR(reader.Take({record.event, record.delta}));
    }
    after = page.back().seq;
  }
  const std::vector<engine::StageView> stages = run.machine.Stages();
  if (reader.stages().size() > stages.size()) {
    co_return absl::DataLossError("a run's log has stages that the run has not");
  }
  std::map<std::string, v1::UsageByModel> models;
  response.mutable_totals();
  for (std::size_t i = 0; i < reader.stages().size(); ++i) {
    Add(stages[i], reader.stages()[i], models, response);
  }
  for (auto& [id, model] : models) response.add_by_model()->Swap(&model);
  co_return absl::OkStatus();
}

}  // namespace fabro::rpc
