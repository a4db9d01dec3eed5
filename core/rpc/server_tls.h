// TLS of the core's listener: every peer shows a certificate that an authority of ours has signed.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "core/base/time.h"
#include "core/security/certificate.h"

namespace grpc {
class ServerCredentials;
}

namespace fabro::rpc {

struct ServerTlsFiles {  // PEM
  std::string cert;
  std::string key;
  std::string ca;  // who may sign the peers' certificates
};

// TLS 1.2 and 1.3. Connections that exist stay as they are when the files change; handshakes use the new
// ones. Thread-safe.
class ServerTls {
 public:
  // FailedPrecondition: which file, what is wrong with it, and what to do. Blocking.
  static absl::StatusOr<std::unique_ptr<ServerTls>> Load(ServerTlsFiles files, Timestamp now);

  // Every second or so, by one caller at a time: takes replaced files once all of them are good. Bad ones are
  // logged, and the ones in force stay. Blocking.
  void Reload(Timestamp now);

  // For one server, which `this` outlives.
  std::shared_ptr<grpc::ServerCredentials> Credentials();

 private:
  struct Material {
    security::Identity identity;
    std::string authorities_pem;
  };
  friend class FetchedCredentials;

  ServerTls(ServerTlsFiles files, security::FileStamps stamps, Material material);
  static absl::StatusOr<Material> Read(const ServerTlsFiles& files, Timestamp now);

  const ServerTlsFiles files_;
  security::FileStamps stamps_;  // used by Reload only
  Mutex mutex_;
  std::shared_ptr<const Material> material_ GUARDED_BY(mutex_);  // shared with a handshake under way
  bool is_new_ GUARDED_BY(mutex_) = true;                        // gRPC has not asked for it yet
};

}  // namespace fabro::rpc
