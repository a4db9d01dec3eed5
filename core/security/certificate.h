// Certificates and keys in PEM files, checked before anything depends on them: a server must not learn from
// its first client that its files do not fit together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/secret.h"
#include "core/base/time.h"

struct x509_st;  // OpenSSL's X509

namespace fabro::security {

enum class CertificateUse : std::uint8_t { kServer, kClient };

// What a program shows to prove who it is.
struct Identity {
  std::string chain_pem;  // the certificate, then those that vouch for it
  SecretString key_pem;
  std::string common_name;  // of the certificate; empty when it has none that would do
  Timestamp expires_at;
};

// What is known of a client by the certificate it has shown, once that was verified.
struct PeerCertificate {
  std::string common_name;  // empty when there is none that would do
  Timestamp expires_at;     // the earliest end of it and of those that vouch for it
};

// Reads both files and checks that they hold what they should, that the certificate is the key's, may be used
// so and is valid `now`. FailedPrecondition: which file, what is wrong, and what to do about it. Blocking.
absl::StatusOr<Identity> LoadIdentity(const std::string& cert_path, const std::string& key_path,
                                      CertificateUse use, Timestamp now);

// The PEM text of a file of authorities, at least one of which is valid `now`. Errors as above. Blocking.
absl::StatusOr<std::string> LoadAuthorities(const std::string& path, Timestamp now);

// The common name (RFC 5280 4.1.2.6) by which a certificate's holder is known here. Empty when there is none,
// when there are several, or when it is not 1 to 200 bytes of UTF-8 without control characters.
std::string CommonNameOf(const x509_st* certificate);

Timestamp ExpiryOf(const x509_st* certificate);

// Tells when files were replaced. Asked every second or so, by one thread at a time.
class FileStamps {
 public:
  // The files as they are now are the ones in force: made before they are read.
  explicit FileStamps(std::vector<std::string> paths);

  // True once for every change, when the files look the same as at the last call: certificate and key are
  // seldom replaced at the same instant. A file that is gone counts as changed. Blocking, like stat().
  bool HaveChanged();

 private:
  std::string Look() const;

  std::vector<std::string> paths_;
  std::string in_force_;
  std::string last_seen_;
};

}  // namespace fabro::security
