#include "core/rpc/server_tls.h"

#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace fabro::rpc {

// gRPC's C++ face offers no certificates that change without losing the good ones to a bad file; the C face
// asks a callback before each handshake.
class FetchedCredentials final : public grpc::ServerCredentials {
 public:
  explicit FetchedCredentials(ServerTls& tls) : tls_(tls) {}

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {
    FABRO_CHECK(false);  // who calls is judged in PeerOf
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    grpc_ssl_server_credentials_options* options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, Fetch, &tls_);
    grpc_server_credentials* credentials = grpc_ssl_server_credentials_create_with_options(options);
    const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  static grpc_ssl_certificate_config_reload_status Fetch(void* user_data,
                                                         grpc_ssl_server_certificate_config** config) {
    auto& tls = *static_cast<ServerTls*>(user_data);
    std::shared_ptr<const ServerTls::Material> material;
    {
      MutexLock lock(&tls.mutex_);
      if (!std::exchange(tls.is_new_, false)) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
      material = tls.material_;
    }
    const grpc_ssl_pem_key_cert_pair pair{material->identity.key_pem.Reveal().c_str(),
                                          material->identity.chain_pem.c_str()};
    *config = grpc_ssl_server_certificate_config_create(material->authorities_pem.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  ServerTls& tls_;
};

absl::StatusOr<ServerTls::Material> ServerTls::Read(const ServerTlsFiles& files, Timestamp now) {
  Material material;
  FABRO_ASSIGN_OR_RETURN(material.identity, security::LoadIdentity(files.cert, files.key,
                                                                   security::CertificateUse::kServer, now));
  FABRO_ASSIGN_OR_RETURN(material.authorities_pem, security::LoadAuthorities(files.ca, now));
  return material;
}

absl::StatusOr<std::unique_ptr<ServerTls>> ServerTls::Load(ServerTlsFiles files, Timestamp now) {
  security::FileStamps stamps({files.cert, files.key, files.ca});
  FABRO_ASSIGN_OR_RETURN(Material material, Read(files, now));
  return std::unique_ptr<ServerTls>(new ServerTls(std::move(files), std::move(stamps), std::move(material)));
}

ServerTls::ServerTls(ServerTlsFiles files, security::FileStamps stamps, Material material)
    : files_(std::move(files)),
      stamps_(std::move(stamps)),
      material_(std::make_shared<const Material>(std::move(material))) {}

void ServerTls::Reload(Timestamp now) {
  if (!stamps_.HaveChanged()) return;
  absl::StatusOr<Material> material = Read(files_, now);
  if (!material.ok()) {
    log::Error("new TLS files are not taken; the ones in force stay", {{"error", material.status()}});
    return;
  }
  log::Info("new TLS files are in force",
            {{"certificate", files_.cert}, {"expires_at", FormatRfc3339(material->identity.expires_at)}});
  MutexLock lock(&mutex_);
  material_ = std::make_shared<const Material>(*std::move(material));
  is_new_ = true;
}

std::shared_ptr<grpc::ServerCredentials> ServerTls::Credentials() {
  return std::make_shared<FetchedCredentials>(*this);
}

}  // namespace fabro::rpc
