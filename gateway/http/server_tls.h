// TLS of the listener: what it shows, whom it asks for a certificate, and the keys that let clients resume.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/base/mutex.h"
#include "core/security/certificate.h"

struct ssl_ctx_st;     // OpenSSL's SSL_CTX
struct ssl_st;         // SSL
struct x509_store_st;  // X509_STORE

namespace fabro::http {

struct TlsFiles {  // PEM
  std::string cert;
  std::string key;
  std::string ca;  // who may sign clients' certificates; not read when none is asked for
};

enum class ClientCertificates : std::uint8_t {
  kNone,      // not asked for
  kOptional,  // asked for; one that does not verify ends the handshake
  kRequired,  // no handshake without
};

// TLS 1.2 and 1.3 with forward secrecy, http/1.1 alone, tickets instead of a cache of sessions, no
// renegotiation, no compression. Connections that exist stay when files change, but their clients'
// certificates are verified again when the authorities do. Thread-safe.
class ServerTls {
 public:
  // How long a ticket may be used, and half of how long a key that makes them is kept.
  static constexpr std::chrono::hours kTicketLife{2};

  // FailedPrecondition: which file, what is wrong with it, and what to do. Blocking. The clock outlives it.
  static absl::StatusOr<std::unique_ptr<ServerTls>> Load(TlsFiles files, ClientCertificates clients,
                                                         const Clock& clock);

  // Every second or so, by one caller at a time: takes replaced files once all of them are good, and new keys
  // for tickets when it is time. Files that are no good are logged, and the ones in force stay. Blocking.
  void Refresh();

  // What a handshake goes by.
  struct Context {
    std::shared_ptr<ssl_ctx_st> ssl;
    std::uint64_t authorities = 0;  // changes when they do
  };
  Context Current() const;
  std::uint64_t authorities() const { return authorities_.load(std::memory_order_relaxed); }

  // The client's certificate of a finished handshake; null when there is none.
  std::shared_ptr<const security::PeerCertificate> CertificateOf(ssl_st* ssl) const;
  // The same, verified once more against the authorities that are in force now; null when it fails.
  std::shared_ptr<const security::PeerCertificate> VerifyAgain(ssl_st* ssl) const;

  enum class Handshake : std::uint8_t { kFull, kResumed, kFailed };
  void Count(Handshake handshake) { handshakes_[static_cast<std::size_t>(handshake)].Add(); }
  void Write(metrics::Text& text) const;

 private:
  struct Material {
    security::Identity identity;
    std::string authorities_pem;
  };

  ServerTls(TlsFiles files, ClientCertificates clients, const Clock& clock, security::FileStamps stamps);
  absl::StatusOr<Material> Read() const;
  absl::Status Use(Material material);

  const TlsFiles files_;
  const ClientCertificates clients_;
  const Clock& clock_;
  security::FileStamps stamps_;  // this and the next two: used by Refresh only
  Material material_;            // in force
  std::chrono::steady_clock::time_point keys_made_at_;
  std::atomic<std::uint64_t> authorities_{0};
  mutable Mutex mutex_;
  std::shared_ptr<ssl_ctx_st> context_ GUARDED_BY(mutex_);  // shared with connections made by it
  metrics::Counter handshakes_[3];
};

}  // namespace fabro::http
