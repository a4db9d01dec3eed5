#include "core/rpc/services/stage_turns.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/json_text.h"
#include "core/engine/stage_finder.h"
#include "core/engine/stage_request.h"
#include "core/sandbox/output_tail.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/internals.pb.h"

namespace fabro::rpc {
namespace {

using workflow::NodeKind;

std::int64_t MillisOf(const v1::Event& event) {
  return event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000;
}

std::string JsonObject(std::string_view key, std::string_view value) {
  std::string json = "{";
  AppendJsonString(json, key);
  json += ':';
  AppendJsonString(json, value);
  json += '}';
  return json;
}

// Takes a stage's events in order.
class Teller {
 public:
  Teller(const workflow::Node& node, std::string goal, const events::Redactor& redactor)
      : node_(node), goal_(std::move(goal)), redactor_(redactor) {}

  void Take(const v1::Event& event, const internal::v1::StateDelta& delta) {
    if (node_.kind == NodeKind::kCommand) return TakeCommand(event);
    if (node_.kind == NodeKind::kHuman) return TakeHuman(event);
    if (node_.kind == NodeKind::kAgent || node_.kind == NodeKind::kPrompt) return TakeModel(event, delta);
  }

  std::vector<v1::StageTurn> Turns() {
    if (use_ != nullptr) use_->set_result(output_->Text());
    return std::move(turns_);
  }

 private:
  void TakeCommand(const v1::Event& event) {
    if (event.has_stage_started()) {
      if (use_ != nullptr) EndUse(event, true);  // the server ended while it ran
      Begin(event, node_.language == workflow::Language::kPython ? "python" : "shell",
            StrCat("attempt-", event.stage_started().attempt()), JsonObject("script", TextOf(node_.script)));
      output_.emplace(kMaxTurnOutput);
    } else if (event.has_stage_output() && use_ != nullptr) {
      output_->Append(event.stage_output().text());
    } else if (event.has_stage_completed() && use_ != nullptr) {
      EndUse(event, false);
    } else if (event.has_stage_failed() && use_ != nullptr) {
      if (output_->total_bytes() == 0) output_->Append(event.stage_failed().failure().message());
      EndUse(event, true);
    }
  }

  void TakeHuman(const v1::Event& event) {
    if (event.has_interview_started()) {
      const v1::InterviewStarted& asked = event.interview_started();
      Begin(event, "human", asked.question_id(), JsonObject("question", asked.question()));
      output_.emplace(kMaxTurnOutput);
    } else if (event.has_interview_completed() && use_ != nullptr) {
      output_->Append(event.interview_completed().answer());
      EndUse(event, false);
    } else if (event.has_interview_timeout() && use_ != nullptr) {
      output_->Append("No answer came in time.");
      EndUse(event, true);
    }
  }

  void TakeModel(const v1::Event& event, const internal::v1::StateDelta& delta) {
    if (event.has_stage_started()) {
      turns_.emplace_back().mutable_system()->set_content(TextOf(node_.prompt));
      return;
    }
    const std::string key = StrCat("response.", node_.id);
    for (const internal::v1::ContextEntry& entry : delta.context_updates()) {
      if (entry.key() != key) continue;
      turns_.emplace_back().mutable_assistant()->set_content(engine::TextOf(entry.value()));
    }
  }

  std::string TextOf(const std::string& text) const {
    return redactor_.Redact(engine::ReplaceGoal(text, goal_));
  }

  void Begin(const v1::Event& event, std::string_view tool, std::string id, std::string input) {
    use_ = turns_.emplace_back().mutable_tool()->add_tools();
    use_->set_id(std::move(id));
    use_->set_tool_name(std::string(tool));
    use_->set_input(std::move(input));
    begun_ms_ = MillisOf(event);
  }

  void EndUse(const v1::Event& event, bool is_error) {
    use_->set_result(output_->Text());
    use_->set_is_error(is_error);
    use_->set_duration_ms(std::max<std::int64_t>(0, MillisOf(event) - begun_ms_));
    use_ = nullptr;
  }

  const workflow::Node& node_;
  const std::string goal_;
  const events::Redactor& redactor_;
  std::vector<v1::StageTurn> turns_;
  v1::ToolUse* use_ = nullptr;  // in hand; on the heap, so that a turn which moves takes it along
  std::optional<sandbox::OutputTail> output_;
  std::int64_t begun_ms_ = 0;
};

absl::Status TakePage(const std::vector<storage::EventRecord>& page, engine::StageFinder& finder,
                      Teller& teller) {
  v1::Event event;
  internal::v1::StateDelta delta;
  for (const storage::EventRecord& record : page) {
    FABRO_ASSIGN_OR_RETURN(const bool is_of_stage, finder.Take({record.event, record.delta}));
    if (!is_of_stage) continue;
    if (!event.ParseFromString(record.event) || !delta.ParseFromString(record.delta)) {
      return absl::DataLossError("an event is unreadable");
    }
    teller.Take(event, delta);
  }
  return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<std::vector<v1::StageTurn>>> StageTurnsOf(storage::Store& store,
                                                              const events::Redactor& redactor,
                                                              runtime::LoadedRun run, std::string stage_id) {
  const std::vector<engine::StageView> stages = run.machine.Stages();
  const auto stage = std::ranges::find(stages, stage_id, &engine::StageView::id);
  if (stage == stages.end()) {
    co_return NotFound(Reason::kNotFound, stage_id,
                       StrCat("Stage ", TruncateUtf8(ToValidUtf8(stage_id), 256), " not found."));
  }
  const auto node = std::ranges::find(run.graph->nodes, stage->node_id, &workflow::Node::id);
  Teller teller(*node, run.row.goal, redactor);
  engine::StageFinder finder(run.graph, stage_id);
  EventSeq after{};
  while (!finder.is_over()) {
    FABRO_CO_ASSIGN_OR_RETURN(const std::vector<storage::EventRecord> page,
                              co_await store.ReadRecords(run.row.id, after, storage::ReadLimits()));
    if (page.empty()) break;
    FABRO_CO_RETURN_IF_ERROR(TakePage(page, finder, teller));
    after = page.back().seq;
  }
  co_return teller.Turns();
}

}  // namespace fabro::rpc
