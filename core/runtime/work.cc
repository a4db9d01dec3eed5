#include "core/runtime/work.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/runtime/run_settings.h"
#include "core/workflow/load.h"

namespace fabro::runtime {
namespace {

absl::StatusOr<google::protobuf::Struct> ParseObject(const std::string& json, const char* what) {
  google::protobuf::Struct object;
  if (json.empty()) return object;
  if (!google::protobuf::util::JsonStringToMessage(json, &object).ok()) {
    return absl::DataLossError(std::string("stored ") + what + " are no JSON object");
  }
  return object;
}

}  // namespace

std::string DefaultWorkDir(const std::string& runs_dir, RunId run) {
  return runs_dir + "/" + run.ToString() + "/work";
}

absl::StatusOr<workflow::Variables> ParseVariables(const std::string& vars_json) {
  FABRO_ASSIGN_OR_RETURN(const google::protobuf::Struct object, ParseObject(vars_json, "variables"));
  workflow::Variables variables;
  for (const auto& [name, value] : object.fields()) variables[name] = value.string_value();
  return variables;
}

absl::StatusOr<LoadedRun> Rebuild(storage::LoadedRun stored, const std::string& runs_dir) {
  FABRO_ASSIGN_OR_RETURN(config::RunSettings settings, SettingsFromJson(stored.source.settings_json));
  FABRO_ASSIGN_OR_RETURN(const workflow::Variables variables, ParseVariables(stored.source.vars_json));
  workflow::LoadOptions options;
  options.goal = stored.row.goal;
  const workflow::LoadResult loaded = workflow::LoadWorkflow(stored.source.source, variables, options);
  if (loaded.graph == nullptr) {
    return absl::DataLossError("the stored workflow is no longer valid: " +
                               workflow::JoinMessages(loaded.diagnostics));
  }
  engine::RunSeed seed;
  seed.id = stored.row.id;
  seed.graph = loaded.graph;
  seed.goal = stored.row.goal;
  seed.work_dir = settings.work_dir.empty() ? DefaultWorkDir(runs_dir, stored.row.id) : settings.work_dir;
  seed.traceparent = stored.source.traceparent;
  std::string work_dir = seed.work_dir;
  std::vector<engine::RecordView> tail;
  tail.reserve(stored.tail.size());
  for (const storage::EventRecord& record : stored.tail) tail.push_back({record.event, record.delta});
  FABRO_ASSIGN_OR_RETURN(
      engine::Machine machine,
      engine::Machine::Restore(std::move(seed),
                               stored.snapshot ? std::string_view(stored.snapshot->bytes) : "", tail));
  return LoadedRun{std::move(machine), std::move(stored.row), std::move(work_dir), loaded.graph,
                   std::make_shared<const config::RunSettings>(std::move(settings))};
}

}  // namespace fabro::runtime
