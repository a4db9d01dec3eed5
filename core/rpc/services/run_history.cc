#include "core/rpc/services/run_history.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/engine/words.h"
#include "core/rpc/audit.h"
#include "core/rpc/services/convert.h"
#include "core/runtime/run_settings.h"
#include "fabro/v1/run.pb.h"

namespace fabro::rpc {
namespace {

void Put(const engine::CheckpointEntry& entry, v1::CheckpointListItem* out) {
  out->set_id(ToUint(entry.id));
  rpc::Put(entry.at, out->mutable_timestamp());
  out->set_node_id(entry.node_id);
  out->set_status(engine::ToProto(entry.status));
  if (!entry.git_commit_sha.empty()) out->set_git_commit_sha(entry.git_commit_sha);
}

}  // namespace

absl::Status CheckQueue(const Backend& backend) {
  const scheduler::Admission::Counts slots = backend.admission.counts();
  const std::size_t waiting = slots.waiting_new + slots.waiting_resumable;
  if (backend.max_queued_runs == 0 || waiting < backend.max_queued_runs) return absl::OkStatus();
  ErrorDetail detail;
  detail.reason = Reason::kLimit;
  detail.retry_after = std::chrono::seconds(5);
  return Error(absl::StatusCode::kResourceExhausted, detail,
               StrCat("The queue is full: ", waiting, " runs are waiting. Try again later."));
}

Task<absl::Status> ListCheckpoints(const Backend& backend, const v1::ListRunCheckpointsRequest& request,
                                   v1::PaginatedCheckpointList& response) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend.store, request.id()));
  FABRO_CO_ASSIGN_OR_RETURN(const std::vector<engine::CheckpointEntry> all,
                            co_await backend.supervisor.Checkpoints(row.id));
  const Page page = PageOf(request);
  const auto size = static_cast<std::int64_t>(all.size());
  for (std::int64_t i = page.offset; i < size && i < page.offset + page.limit; ++i) {
    Put(all[static_cast<std::size_t>(i)], response.add_data());
  }
  response.mutable_meta()->set_has_more(page.offset + page.limit < size);
  co_return absl::OkStatus();
}

Task<absl::Status> RewindRun(const Backend& backend, const CallContext& call,
                             const v1::RewindRunRequest& request, v1::RunStatusResponse& response) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend.store, request.id()));
  storage::AppendAudit audit = AuditOf(call, backend.clock.Now(), ResourceOf(row.id));
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow after,
                            co_await backend.supervisor.Rewind(row.id, EventSeq(request.checkpoint()),
                                                               call.principal, std::move(audit)));
  Put(after, &response);
  co_return absl::OkStatus();
}

Task<absl::Status> ForkRun(const Backend& backend, const CallContext& call, const v1::ForkRunRequest& request,
                           v1::RunStatusResponse& response) {
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend.store, request.id()));
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunSource source, co_await backend.store.GetRunSource(row.id));
  FABRO_CO_ASSIGN_OR_RETURN(const config::RunSettings settings,
                            runtime::SettingsFromJson(source.settings_json));
  FABRO_CO_RETURN_IF_ERROR(runtime::CheckAllowed(settings, *backend.config()));
  FABRO_CO_RETURN_IF_ERROR(CheckQueue(backend));
  const Timestamp now = backend.clock.Now();
  runtime::ForkRequest fork;
  fork.id = backend.run_ids.Next(now);
  if (request.has_checkpoint()) fork.checkpoint = EventSeq(request.checkpoint());
  fork.title = backend.redactor.Redact(request.title());
  fork.by = call.principal;
  fork.traceparent = call.traceparent;
  fork.audit = AuditOf(call, now, ResourceOf(fork.id));
  FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow made,
                            co_await backend.supervisor.Fork(row.id, std::move(fork)));
  Put(made, &response);
  co_return absl::OkStatus();
}

}  // namespace fabro::rpc
