#include "core/rpc/audit.h"

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace fabro::rpc {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

storage::AppendAudit AuditOf(const CallContext& call, Timestamp now, std::string resource) {
  storage::AppendAudit audit;
  audit.at = now;
  audit.principal = call.principal;
  audit.action = StrCat(call.service, '/', call.method);
  audit.resource = std::move(resource);
  audit.outcome = "ok";
  audit.request_id = call.request_id;
  return audit;
}

std::string ResourceOf(RunId run) { return StrCat("runs/", run.ToString()); }

bool DenialRecorder::IsNew(const CallContext& call, Timestamp now) {
  MutexLock lock(&mutex_);
  const std::int64_t minute = now.unix_ms / kMinuteMs;
  if (minute != minute_) {
    minute_ = minute;
    seen_.clear();
  }
  if (seen_.size() >= kPerMinute) return false;
  return seen_.emplace(call.principal, StrCat(call.service, '/', call.method)).second;
}

Task<void> DenialRecorder::Record(const CallContext& call, std::string resource) {
  log::Warn("call denied", {{"method", call.method},
                            {"principal", call.principal},
                            {"resource", resource},
                            {"request_id", call.request_id}});
  const Timestamp now = clock_.Now();
  if (!IsNew(call, now)) co_return;
  storage::AppendAudit audit = AuditOf(call, now, std::move(resource));
  audit.outcome = ToString(Reason::kForbidden);
  storage::WriteBatch batch;
  batch.writes.emplace_back(std::move(audit));
  const absl::StatusOr<storage::CommitResult> written = co_await store_.Commit(std::move(batch));
  if (!written.ok()) log::Warn("a refusal is missing in the audit", {{"error", written.status()}});
}

}  // namespace fabro::rpc
