#include "core/base/log.h"
#include "core/rpc/services/services.h"
#include "core/runtime/run_settings.h"
#include "fabro/v1/settings.grpc.pb.h"

namespace fabro::rpc {
namespace {

void PutApi(const config::ApiConfig& api, v1::ApiSettings* out) {
  if (!api.base_url.empty()) out->set_base_url(api.base_url);
  if (api.authentication_strategies) {
    for (const config::AuthStrategy strategy : *api.authentication_strategies) {
      out->add_authentication_strategies(strategy == config::AuthStrategy::kJwt
                                             ? v1::AUTHENTICATION_STRATEGY_JWT
                                             : v1::AUTHENTICATION_STRATEGY_MTLS);
    }
  }
  if (!api.tls.any()) return;
  out->mutable_tls()->set_cert(api.tls.cert);
  out->mutable_tls()->set_key(api.tls.key);
  out->mutable_tls()->set_ca(api.tls.ca);
}

void PutWeb(const config::WebConfig& web, v1::WebSettings* out) {
  if (!web.url.empty()) out->set_url(web.url);
  for (const std::string& name : web.allowed_usernames) out->mutable_auth()->add_allowed_usernames(name);
  if (web.provider == "github") out->mutable_auth()->set_provider(v1::AUTH_PROVIDER_GITHUB);
}

// The parts that the server's settings and a run's have in common.
void PutRunDefaults(v1::RunSettings run, v1::ServerSettings* out) {
  out->mutable_llm()->Swap(run.mutable_llm());
  out->mutable_setup()->Swap(run.mutable_setup());
  out->mutable_sandbox()->Swap(run.mutable_sandbox());
  out->mutable_checkpoint()->Swap(run.mutable_checkpoint());
  out->mutable_assets()->Swap(run.mutable_assets());
  out->mutable_hooks()->Swap(run.mutable_hooks());
}

class SettingsService final : public v1::SettingsService::CallbackService {
 public:
  SettingsService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* RetrieveServerSettings(grpc::CallbackServerContext* context,
                                                   const v1::RetrieveServerSettingsRequest* request,
                                                   v1::ServerSettings* response) override {
    return RunUnary(edge_, context, "RetrieveServerSettings", *request,
                    [this, response](const CallContext&) { return HandleSettings(*response); });
  }

 private:
  Task<absl::Status> HandleSettings(v1::ServerSettings& response) {
    const std::shared_ptr<const config::ServerConfig> config = backend_.config();
    response.set_storage_dir(config->storage_dir);
    response.set_max_concurrent_runs(config->max_concurrent_runs);
    response.mutable_log()->set_level(std::string(ToString(config->log.level)));
    response.mutable_features()->set_retros(config->retros);
    PutApi(config->api, response.mutable_api());
    PutWeb(config->web, response.mutable_web());
    v1::RunSettings run;
    runtime::Put(config::RunSettingsOf(*config), &run);
    runtime::MaskSecrets(&run);
    PutRunDefaults(std::move(run), &response);
    for (const char* provider : {"local", "bubblewrap", "docker"}) {
      if (config::IsAllowed(config->sandbox, provider)) response.add_allowed_sandbox_providers(provider);
    }
    for (const auto& [name, value] : config->vars) (*response.mutable_vars())[name] = runtime::kMask;
    co_return absl::OkStatus();
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSettingsService(const Edge& edge, const Backend& backend) {
  return std::make_unique<SettingsService>(edge, backend);
}

}  // namespace fabro::rpc
