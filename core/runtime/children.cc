// A run's children and its parent, as its actor sees them.
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/outcome.h"
#include "core/runtime/run_settings.h"
#include "core/runtime/supervisor.h"
#include "core/workflow/load.h"

namespace fabro::runtime {

engine::ChildFinished EndOf(const storage::RunRow& row) {
  engine::ChildFinished finished;
  finished.child = row.id;
  finished.status = row.status;
  finished.outcome = engine::ParseOutcomeStatus(row.outcome).value_or(engine::OutcomeStatus::kFail);
  finished.error = row.error.value_or("");
  finished.stages = static_cast<std::uint32_t>(row.stage_count);
  return finished;
}

namespace {

// A run of the child's source with its parent's owner, labels, variables and settings, where the parent's
// stages run.
absl::StatusOr<NewRun> MakeChild(const storage::RunRow& parent, const engine::StartChild& child,
                                 std::string source, storage::RunSource of_parent) {
  FABRO_ASSIGN_OR_RETURN(const workflow::Variables variables, ParseVariables(of_parent.vars_json));
  workflow::LoadResult loaded = workflow::LoadWorkflow(source, variables, workflow::LoadOptions());
  if (loaded.graph == nullptr) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::kInvalidArgument, child.node->id,
                 StrCat("the child workflow of ", child.node->id,
                        " is not valid: ", workflow::JoinMessages(loaded.diagnostics)));
  }
  NewRun run;
  run.row.id = child.child;
  run.row.parent = parent.id;
  run.row.workflow_name = loaded.graph->name;
  run.row.workflow_slug = loaded.graph->name;
  run.row.goal = loaded.graph->goal.empty() ? parent.goal : loaded.graph->goal;
  run.row.title = loaded.graph->label.empty() ? child.node->label : loaded.graph->label;
  run.row.created_by = parent.created_by;
  run.row.labels = parent.labels;
  run.row.priority = parent.priority;
  run.graph = loaded.graph;
  run.source.source = std::move(source);
  run.source.traceparent = of_parent.traceparent;
  run.source.vars_json = std::move(of_parent.vars_json);
  FABRO_ASSIGN_OR_RETURN(run.settings, SettingsFromJson(of_parent.settings_json));
  run.settings.work_dir = child.work_dir;
  run.settings.graph = child.node->child_workflow;
  return run;
}

}  // namespace

Task<absl::StatusOr<std::string>> Supervisor::StartChild(storage::RunRow parent, engine::StartChild child) {
  const absl::StatusOr<LoadedRun> there = co_await Read(child.child);
  if (there.ok()) co_return there->graph->nodes[there->graph->start].id;
  if (!absl::IsNotFound(there.status())) co_return there.status();
  FABRO_CO_RETURN_IF_ERROR(co_await CheckDepth(parent));
  const workflow::Node& node = *child.node;
  std::string source = node.child_dot_source;
  if (source.empty()) {
    if (work_.workflows == nullptr) {
      co_return FailedPrecondition(Reason::kNotFound, node.child_workflow,
                                   "This server has no workflow folders to find child workflows in.");
    }
    FABRO_CO_ASSIGN_OR_RETURN(source, co_await work_.workflows->ReadWorkflow(node.child_workflow));
  }
  FABRO_CO_ASSIGN_OR_RETURN(storage::RunSource of_parent, co_await work_.store.GetRunSource(parent.id));
  absl::StatusOr<NewRun> made = MakeChild(parent, child, std::move(source), std::move(of_parent));
  if (!made.ok()) co_return made.status();
  made->row.created_at = work_.time.Now();
  const std::string start = made->graph->nodes[made->graph->start].id;
  const absl::StatusOr<storage::RunRow> created = co_await Create(*std::move(made));
  if (!created.ok() && ReasonOf(created.status()) != Reason::kStaleHead) co_return created.status();
  co_return start;
}

Task<absl::Status> Supervisor::CheckDepth(storage::RunRow parent) {
  int depth = 1;  // of the child
  for (std::optional<RunId> above = parent.parent; above; ++depth) {
    if (depth >= kMaxDepth) {
      co_return FailedPrecondition(Reason::kLimit, parent.id.ToString(),
                                   StrCat("Child runs may stand at most ", kMaxDepth, " deep."));
    }
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await work_.store.GetRun(*above));
    above = row.parent;
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<engine::Input>> Supervisor::LookAtChild(engine::CheckChild child) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await work_.store.GetRun(child.child));
  if (IsTerminal(row.status)) co_return engine::Input(EndOf(row));
  engine::ChildObserved observed;
  observed.child = child.child;
  if (child.node->manager_stop_condition) {
    FABRO_CO_ASSIGN_OR_RETURN(const LoadedRun loaded, co_await Read(child.child));
    observed.stop = loaded.machine.Holds(*child.node->manager_stop_condition);
  }
  co_return engine::Input(observed);
}

Task<absl::Status> Supervisor::CancelChild(RunId child, RunId parent) {
  engine::Cancel cancel;
  cancel.by = StrCat("run ", parent.ToString());
  const absl::StatusOr<storage::RunRow> told = co_await Tell(child, engine::Input(std::move(cancel)));
  if (absl::IsNotFound(told.status()) || absl::IsFailedPrecondition(told.status()))
    co_return absl::OkStatus();
  co_return told.status();
}

void Supervisor::TellParent(RunId parent, engine::ChildFinished finished) {
  Message message;
  message.body = engine::Input(std::move(finished));
  Deliver(parent, std::move(message), true);
}

}  // namespace fabro::runtime
