// The gRPC services of the core, made where their generated code stays hidden.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/config/server_config.h"
#include "core/events/event_hub.h"
#include "core/events/redactor.h"
#include "core/git/worker.h"
#include "core/rpc/call.h"
#include "core/rpc/readiness.h"
#include "core/runtime/supervisor.h"
#include "core/sandbox/sandbox.h"
#include "core/scheduler/admission.h"
#include "core/storage/store.h"
#include "core/workflows/catalog.h"

namespace grpc {
class Service;
}

namespace fabro::rpc {

// What handlers may use; all of it outlives the gRPC server.
struct Backend {
  storage::Store& store;
  runtime::Supervisor& supervisor;
  scheduler::Admission& admission;
  events::EventHub& hub;
  const events::Redactor& redactor;
  sandbox::Sandbox& host;  // runs programs of ours, such as dot
  const Clock& clock;
  RunIdSource& run_ids;
  std::string work_dir;  // an existing folder for such programs
  std::size_t max_queued_runs = 0;
  std::function<bool()> is_draining;
  Readiness& readiness;
  const CallMetrics& calls;
  std::string database_path;                                            // empty: the store is no file of ours
  std::function<std::shared_ptr<const config::ServerConfig>()> config;  // the settings in force
  git::Worker& git;
  workflows::Catalog& workflows;
};

std::unique_ptr<grpc::Service> MakeRunService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeHumanService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeRunInternalsService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeDiscoveryService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeOutputService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeAuditService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeUsageService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeRetroService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeSettingsService(const Edge& edge, const Backend& backend);
std::unique_ptr<grpc::Service> MakeWorkflowService(const Edge& edge, const Backend& backend);

// The declared services that have no method of their own yet: every call is UNIMPLEMENTED.
std::vector<std::unique_ptr<grpc::Service>> MakeUnbuiltServices();

}  // namespace fabro::rpc
