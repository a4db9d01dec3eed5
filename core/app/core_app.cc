#include "core/app/core_app.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/app/live_config.h"
#include "core/async/task_scope.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/events/event_hub.h"
#include "core/events/redactor.h"
#include "core/git/worker.h"
#include "core/net/http_client.h"
#include "core/rpc/audit.h"
#include "core/rpc/readiness.h"
#include "core/rpc/server_tls.h"
#include "core/rpc/services/services.h"
#include "core/runtime/supervisor.h"
#include "core/sandbox/local.h"
#include "core/sandbox/sandboxes.h"
#include "core/scheduler/timers.h"
#include "core/security/access.h"
#include "core/stages/command.h"
#include "core/stages/git_stages.h"
#include "core/stages/git_worktrees.h"
#include "core/stages/hook_call.h"
#include "core/stages/hooked_stages.h"
#include "core/stages/hooks.h"
#include "core/stages/preparer.h"
#include "core/storage/sqlite/sqlite_store.h"
#include "core/workflows/catalog.h"

namespace fabro::app {
namespace {

constexpr int kFileThreads = 2;
constexpr std::size_t kFileQueue = 4096;
constexpr int kGitThreads = 2;
constexpr std::size_t kGitQueue = 1024;
constexpr int kMaxMessageBytes = 64 << 20;
constexpr std::chrono::seconds kSandboxWatch{5};

sandbox::Environment Pairs(const config::StringMap& map) { return {map.begin(), map.end()}; }

absl::Status MakeFolder(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) {
    return Annotate(ErrnoError(failed.value(), StrCat("making the folder ", path)),
                    "no place for the data; name another with --storage-dir or storage_dir");
  }
  if (::chmod(path.c_str(), 0700) != 0) return ErrnoError(errno, StrCat("protecting the folder ", path));
  return absl::OkStatus();
}

std::optional<security::AccessLists> AccessListsOf(const config::AccessConfig& config) {
  if (!config.configured()) return std::nullopt;
  return security::AccessLists{config.viewers.value_or(config::StringList()),
                               config.operators.value_or(config::StringList()),
                               config.admins.value_or(config::StringList())};
}

void LogCall(const rpc::CallReport& report) {
  const bool ours =
      absl::IsInternal(report.status) || absl::IsDataLoss(report.status) || absl::IsUnknown(report.status);
  if (ours) {
    log::Error("call failed", {{"method", report.context.method},
                               {"request_id", report.context.request_id},
                               {"principal", report.context.principal},
                               {"error", report.status}});
  } else {
    log::Debug("call", {{"method", report.context.method},
                        {"request_id", report.context.request_id},
                        {"principal", report.context.principal},
                        {"status", report.status},
                        {"us", report.duration.count()}});
  }
}

Task<void> StopSupervisor(runtime::Supervisor* supervisor, std::chrono::milliseconds grace) {
  co_await supervisor->Stop(grace);
}

Task<void> KeepStatus(Task<absl::Status> task, absl::Status* out) { *out = co_await std::move(task); }

absl::Status RunBlockingly(const Executor& executor, Task<absl::Status> task) {
  absl::Status status;
  TaskScope scope(executor);
  scope.Spawn("start-up", KeepStatus(std::move(task), &status));
  scope.JoinBlocking();
  return status;
}

constexpr std::string_view kSqlite = "sqlite:";

std::string DatabasePath(const std::string& url) {
  return url.starts_with(kSqlite) ? url.substr(kSqlite.size()) : std::string();
}

absl::StatusOr<std::unique_ptr<storage::Store>> OpenStore(const std::string& url) {
  if (!url.starts_with(kSqlite)) {
    return InvalidArgument(Reason::kInvalidArgument, url,
                           StrCat("storage.url: this version has SQLite only, not ", url));
  }
  storage::sqlite::SqliteOptions options;
  options.path = url.substr(kSqlite.size());
  return storage::sqlite::OpenSqliteStore(std::move(options));
}

}  // namespace

// In the order of construction; the reverse is the order of destruction.
struct CoreApp::Parts {
  Parts(Runtime& r, CoreOptions o, std::unique_ptr<storage::Store> s)
      : runtime(r),
        options(std::move(o)),
        current(options.config),
        runs_dir(options.config.storage_dir + "/runs"),
        store(std::move(s)),
        redactor(options.environment.values()),
        files("files", kFileThreads, kFileQueue),
        host(files, HostOptions(), Pairs(options.config.sandbox.env)),
        sandboxes(files, SandboxesOptions()),
        commands(sandboxes, files, redactor),
        hook_caller(sandboxes, http, files, redactor,
                    [this](const std::string& name) { return HeaderVariable(name); }),
        hooks(runtime.executor(), hook_caller),
        hooked_stages(commands, hooks),
        git_calls("git", kGitThreads, kGitQueue),
        git_worker(git_calls, SystemTime()),
        git_stages(hooked_stages, git_worker, SystemClock(), redactor, runs_dir),
        worktrees(git_worker, SystemClock(), runs_dir),
        preparer(sandboxes, worktrees, hooks, files, redactor),
        background(runtime.executor()),
        calls(runtime.executor()),
        admission(static_cast<std::size_t>(options.config.max_concurrent_runs),
                  [this](RunId run) { supervisor.OnGrant(run); }),
        timers(*store, SystemTime(),
               [this](std::vector<RunId> runs) { return supervisor.OnTimersDue(std::move(runs)); }),
        workflows(options.config.workflow_dirs, files),
        supervisor(SharedWork(), files),
        run_ids(SystemRandom()),
        readiness(*store, SystemTime(), options.config.storage_dir, [this] { return timers_run.load(); }),
        access(AccessListsOf(options.config.access)),
        denials(*store, SystemClock()),
        edge{calls,
             call_metrics,
             options.config.metrics_open,
             {options.config.limits.max_calls, options.config.limits.max_streams},
             access,
             options.config.core.trusted_gateways,
             [this] { return draining.load(); },
             [this] { return store->WritesFail(); },
             LogCall,
             [this](const rpc::CallContext& call, std::string resource) {
               return denials.Record(call, std::move(resource));
             }} {}

  sandbox::HostOptions HostOptions() const {
    sandbox::HostOptions host_options;
    host_options.stage_helper = options.stage_helper;
    return host_options;
  }

  // A run's hooks may be its caller's: what they take from the environment, the server's own allow as well.
  std::optional<std::string> HeaderVariable(const std::string& name) {
    const std::shared_ptr<const config::ServerConfig> config = current.Get();
    const bool allowed = std::ranges::any_of(config->hooks, [&name](const config::Hook& hook) {
      return std::ranges::find(hook.allowed_env_vars, name) != hook.allowed_env_vars.end();
    });
    return allowed ? options.environment.Find(name) : std::nullopt;
  }

  sandbox::SandboxesOptions SandboxesOptions() const {
    const config::ServerConfig& config = options.config;
    sandbox::SandboxesOptions sandboxes_options;
    sandboxes_options.host = HostOptions();
    sandboxes_options.owner = config.storage_dir;
    sandboxes_options.hidden = {config.storage_dir,  options.config_file, ".env",
                                config.core.tls.key, config.api.tls.key,  config.gateway.tls.key};
    const std::string database = DatabasePath(config.storage_url);
    for (const char* suffix : {"", "-wal", "-shm"}) sandboxes_options.hidden.push_back(database + suffix);
    return sandboxes_options;
  }

  runtime::Work SharedWork() {
    return runtime::Work{runtime.executor(), *store,    SystemTime(),      SystemRandom(),
                         git_stages,         hub,       admission,         timers,
                         runs_dir,           {},        runtime::Limits(), &preparer,
                         &workflows,         &worktrees};
  }

  rpc::Backend MakeBackend() {
    return rpc::Backend{*store,
                        supervisor,
                        admission,
                        hub,
                        redactor,
                        host,
                        SystemClock(),
                        run_ids,
                        runs_dir,
                        static_cast<std::size_t>(options.config.limits.max_queued_runs),
                        [this] { return draining.load(); },
                        readiness,
                        call_metrics,
                        DatabasePath(options.config.storage_url),
                        [this] { return current.Get(); },
                        git_worker,
                        workflows};
  }

  absl::Status Serve();
  absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ListenerCredentials();
  Task<void> KeepTlsFresh();
  Task<void> RunTimers();
  Task<void> WatchSandboxes();

  Runtime& runtime;
  const CoreOptions options;
  CurrentConfig current;
  const std::string runs_dir;
  std::atomic<bool> draining = false;
  std::unique_ptr<storage::Store> store;
  events::EventHub hub;
  const events::Redactor redactor;
  BlockingPool files;
  sandbox::LocalSandbox host;  // for programs of ours
  sandbox::Sandboxes sandboxes;
  stages::CommandRunner commands;
  net::HttpClient http;
  stages::HookCaller hook_caller;
  stages::Hooks hooks;
  stages::HookedStages hooked_stages;
  BlockingPool git_calls;  // apart from the files: writing a large tree takes long
  git::Worker git_worker;
  stages::GitStages git_stages;
  stages::GitWorktrees worktrees;
  stages::Preparer preparer;
  TaskScope background;
  TaskScope calls;
  scheduler::Admission admission;
  scheduler::Timers timers;
  workflows::Catalog workflows;
  runtime::Supervisor supervisor;
  RunIdSource run_ids;
  std::atomic<bool> timers_run = false;
  rpc::Readiness readiness;
  rpc::CallMetrics call_metrics;
  security::Access access;
  rpc::DenialRecorder denials;
  const rpc::Edge edge;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::unique_ptr<rpc::ServerTls> tls;  // null: a plain listener, or none
  std::unique_ptr<grpc::Server> server;
  std::string address;
  bool stopped = false;
};

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CoreApp::Parts::ListenerCredentials() {
  const config::TlsFiles& files = options.config.core.tls;
  if (!files.any()) return grpc::InsecureServerCredentials();
  FABRO_ASSIGN_OR_RETURN(tls, rpc::ServerTls::Load({files.cert, files.key, files.ca}, SystemClock().Now()));
  background.Spawn("TLS files", KeepTlsFresh());
  return tls->Credentials();
}

// Looks at the files every second until it is cancelled.
Task<void> CoreApp::Parts::KeepTlsFresh() {
  while (true) {
    const absl::Status slept = co_await SystemTime().Sleep(std::chrono::seconds(1));
    if (!slept.ok()) co_return;
    auto reload = [this]() -> absl::Status {
      tls->Reload(SystemClock().Now());
      return absl::OkStatus();
    };
    const absl::Status done = co_await RunBlocking(files, std::move(reload));
    if (!done.ok()) log::Debug("TLS files were not looked at", {{"error", done}});
  }
}

Task<void> CoreApp::Parts::RunTimers() {
  timers_run = true;
  co_await timers.Run();
  timers_run = false;
}

// What is wrong is said before a stage fails of it, and the server is not ready. It is no reason not to
// start, as it can be put right meanwhile: then it is looked at again, as when other settings come.
Task<void> CoreApp::Parts::WatchSandboxes() {
  const absl::Status removed = co_await sandboxes.RemoveLeftovers();
  if (!removed.ok()) {
    log::Debug("containers left by an earlier server were not looked for", {{"error", removed}});
  }
  std::optional<config::SandboxSettings> checked;
  bool failed = false;
  while (true) {
    const std::string provider = current.Get()->sandbox.provider;
    config::SandboxSettings settings = config::SandboxSettingsOf(current.Get()->sandbox);
    if (failed || checked != settings) {
      const absl::Status usable = co_await sandboxes.Check(settings, runs_dir);
      if (absl::IsCancelled(usable)) co_return;
      if (!usable.ok() && (!failed || checked != settings)) {
        log::Warn("the sandbox cannot be used: stages that need it will fail",
                  {{"provider", provider}, {"error", usable}});
      }
      if (usable.ok() && failed) log::Info("the sandbox can be used now", {{"provider", provider}});
      readiness.SetSandbox(provider, usable);
      failed = !usable.ok();
      checked = std::move(settings);
    }
    if (!(co_await SystemTime().Sleep(kSandboxWatch)).ok()) co_return;
  }
}

absl::Status CoreApp::Parts::Serve() {
  const rpc::Backend backend = MakeBackend();
  services = rpc::MakeUnbuiltServices();
  services.push_back(rpc::MakeDiscoveryService(edge, backend));
  services.push_back(rpc::MakeAuditService(edge, backend));
  services.push_back(rpc::MakeUsageService(edge, backend));
  services.push_back(rpc::MakeRunService(edge, backend));
  services.push_back(rpc::MakeHumanService(edge, backend));
  services.push_back(rpc::MakeRunInternalsService(edge, backend));
  services.push_back(rpc::MakeSettingsService(edge, backend));
  services.push_back(rpc::MakeWorkflowService(edge, backend));
  services.push_back(rpc::MakeOutputService(edge, backend));
  services.push_back(rpc::MakeRetroService(edge, backend));

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  // Two servers must never share a port: the second one is told.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  const config::CoreConfig& core = options.config.core;
  const bool is_unix = core.listen.starts_with("unix:");
  if (options.listens) {
    if (is_unix) ::unlink(core.listen.c_str() + 5);  // of a core that died: the storage lock is ours
    FABRO_ASSIGN_OR_RETURN(const auto credentials, ListenerCredentials());
    builder.AddListeningPort(core.listen, credentials, &port);
  }
  for (const auto& service : services) builder.RegisterService(service.get());
  const mode_t before = ::umask(0177);  // a unix socket is private from its first moment
  server = builder.BuildAndStart();
  ::umask(before);
  if (server == nullptr || (options.listens && port == 0)) {
    return Unavailable(Reason::kInternal, core.listen,
                       StrCat("cannot listen on ", core.listen, ": is the address in use?"));
  }
  if (options.listens) {
    if (is_unix) ::chmod(core.listen.c_str() + 5, core.socket_mode == "0660" ? 0660 : 0600);
    const std::size_t colon = core.listen.rfind(':');
    address = is_unix ? core.listen : StrCat(core.listen.substr(0, colon), ':', port);
  }
  return absl::OkStatus();
}

CoreApp::CoreApp(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

CoreApp::~CoreApp() { Stop(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<CoreApp>> CoreApp::Start(Runtime& runtime, CoreOptions options) {
  std::error_code failed;
  const std::filesystem::path storage = std::filesystem::absolute(options.config.storage_dir, failed);
  if (!failed) options.config.storage_dir = storage.string();
  FABRO_RETURN_IF_ERROR(MakeFolder(options.config.storage_dir));
  FABRO_RETURN_IF_ERROR(MakeFolder(options.config.storage_dir + "/runs"));
  FABRO_ASSIGN_OR_RETURN(std::unique_ptr<storage::Store> store, OpenStore(options.config.storage_url));
  auto parts = std::make_unique<Parts>(runtime, std::move(options), std::move(store));
  std::unique_ptr<CoreApp> app(new CoreApp(std::move(parts)));
  Parts& p = *app->parts_;
  FABRO_RETURN_IF_ERROR(RunBlockingly(runtime.executor(), p.supervisor.Recover()));
  FABRO_RETURN_IF_ERROR(p.Serve());
  p.background.Spawn("timers", p.RunTimers());
  p.background.Spawn("storage watch", p.readiness.WatchStorage());
  p.background.Spawn("sandboxes", p.WatchSandboxes());
  p.admission.Start();
  return app;
}

std::shared_ptr<grpc::Channel> CoreApp::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return parts_->server->InProcessChannel(arguments);
}

std::string CoreApp::address() const { return parts_->address; }

void CoreApp::Apply(const config::ServerConfig& config) {
  Parts& p = *parts_;
  p.admission.SetSlots(static_cast<std::size_t>(config.max_concurrent_runs));
  p.access.Set(AccessListsOf(config.access));
  p.current.Set(config);
}

void CoreApp::Stop(std::chrono::milliseconds grace) {
  Parts& p = *parts_;
  if (std::exchange(p.stopped, true)) return;
  p.draining = true;
  if (p.server != nullptr && p.server->GetHealthCheckService() != nullptr) {
    p.server->GetHealthCheckService()->SetServingStatus(false);
  }
  p.background.Cancel();
  p.background.JoinBlocking();
  TaskScope stopping(p.runtime.executor());
  stopping.Spawn("stop runs", StopSupervisor(&p.supervisor, grace));
  stopping.JoinBlocking();
  p.hooks.Stop();
  // Readers have had every event by now; who still waits, waits for a run that goes on another time.
  p.calls.Cancel();
  if (p.server != nullptr) p.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  p.calls.JoinBlocking();
  p.store->Close();
}

}  // namespace fabro::app
