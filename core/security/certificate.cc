#include "core/security/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::security {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr std::size_t kMaxNameBytes = 200;

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Bio = std::unique_ptr<BIO, Free>;

absl::Status Refuse(const std::string& path, std::string_view what, std::string_view advice) {
  return FailedPrecondition(Reason::kInvalidArgument, path, StrCat(path, " ", what, ". ", advice));
}

absl::StatusOr<std::string> Read(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return Refuse(path, StrCat("cannot be read: ", std::strerror(errno)),
                  "Correct the path, or make the file readable for this user.");
  }
  if (!S_ISREG(info.st_mode)) return Refuse(path, "is not a file", "Give the path of a PEM file.");
  if (static_cast<std::size_t>(info.st_size) > kMaxFileBytes) {
    return Refuse(path, "is longer than 1 MiB", "Give the path of a PEM file.");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Refuse(path, StrCat("cannot be read: ", std::strerror(errno)), "Make it readable for this user.");
  }
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

Bio Open(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// What kind of PEM a file holds instead of the one that was wanted.
std::string Instead(const std::string& pem) {
  const std::size_t begin = pem.find("-----BEGIN ");
  if (begin == std::string::npos) return "it is not PEM";
  const std::size_t end = pem.find("-----", begin + 11);
  if (end == std::string::npos || end - begin > 64) return "its first line is broken";
  return StrCat("it begins with ", pem.substr(begin + 11, end - begin - 11));
}

absl::StatusOr<std::vector<Certificate>> ParseCertificates(const std::string& path, const std::string& pem) {
  const Bio bio = Open(pem);
  std::vector<Certificate> found;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) found.emplace_back(next);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (found.empty() && at_end) {
    return Refuse(path, StrCat("holds no certificate: ", Instead(pem)),
                  "Give a PEM file with BEGIN CERTIFICATE in it.");
  }
  if (!at_end) return Refuse(path, "holds a certificate that is damaged", "Write the file anew.");
  return found;
}

// Keys with a passphrase are refused: nobody is there to type it.
int NoPassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

absl::StatusOr<Key> ParseKey(const std::string& path, const std::string& pem) {
  const Bio bio = Open(pem);
  bool encrypted = false;
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassphrase, &encrypted));
  ERR_clear_error();
  if (key) return key;
  if (encrypted) {
    return Refuse(path, "is protected by a passphrase",
                  "Give a key without one (openssl pkey -in OLD -out NEW), readable by this user only.");
  }
  return Refuse(path, StrCat("holds no usable private key: ", Instead(pem)),
                "Give a PEM file with BEGIN PRIVATE KEY in it.");
}

Timestamp ToTimestamp(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {static_cast<std::int64_t>(::timegm(&parts)) * 1000};
}

absl::Status CheckValidity(const std::string& path, const X509* certificate, Timestamp now) {
  const Timestamp from = ToTimestamp(X509_get0_notBefore(certificate));
  const Timestamp until = ExpiryOf(certificate);
  if (now < from) {
    return Refuse(path,
                  StrCat("is not valid before ", FormatRfc3339(from), ", and it is ", FormatRfc3339(now)),
                  "Check this machine's clock, or use a certificate that is valid now.");
  }
  if (now >= until) {
    return Refuse(path, StrCat("has expired at ", FormatRfc3339(until)),
                  "Replace it with a new certificate.");
  }
  return absl::OkStatus();
}

absl::Status CheckUse(const std::string& path, X509* certificate, CertificateUse use) {
  const bool server = use == CertificateUse::kServer;
  if (X509_check_purpose(certificate, server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT, 0) == 1) {
    return absl::OkStatus();
  }
  return Refuse(
      path, StrCat("may not be used by a ", server ? "server" : "client", " (key usage)"),
      StrCat("Use a certificate whose extended key usage holds ", server ? "serverAuth" : "clientAuth", "."));
}

}  // namespace

absl::StatusOr<Identity> LoadIdentity(const std::string& cert_path, const std::string& key_path,
                                      CertificateUse use, Timestamp now) {
  Identity identity;
  FABRO_ASSIGN_OR_RETURN(identity.chain_pem, Read(cert_path));
  FABRO_ASSIGN_OR_RETURN(const std::vector<Certificate> chain,
                         ParseCertificates(cert_path, identity.chain_pem));
  FABRO_ASSIGN_OR_RETURN(std::string key_pem, Read(key_path));
  identity.key_pem = SecretString(std::move(key_pem));
  FABRO_ASSIGN_OR_RETURN(const Key key, ParseKey(key_path, identity.key_pem.Reveal()));
  X509* const leaf = chain.front().get();
  if (X509_check_private_key(leaf, key.get()) != 1) {
    ERR_clear_error();
    return Refuse(
        key_path, StrCat("is not the key of the certificate in ", cert_path),
        "Give the two files that were made together; the server's own certificate comes first in its "
        "file.");
  }
  FABRO_RETURN_IF_ERROR(CheckValidity(cert_path, leaf, now));
  FABRO_RETURN_IF_ERROR(CheckUse(cert_path, leaf, use));
  identity.common_name = CommonNameOf(leaf);
  identity.expires_at = ExpiryOf(leaf);
  return identity;
}

absl::StatusOr<std::string> LoadAuthorities(const std::string& path, Timestamp now) {
  FABRO_ASSIGN_OR_RETURN(std::string pem, Read(path));
  FABRO_ASSIGN_OR_RETURN(const std::vector<Certificate> authorities, ParseCertificates(path, pem));
  absl::Status expired;  // of the last one that is not valid
  bool any_valid = false;
  for (const Certificate& authority : authorities) {
    if (X509_check_ca(authority.get()) == 0) {
      return Refuse(path, "holds a certificate that is not an authority's (CA:FALSE)",
                    "Give the certificate of the authority that signs the other side's certificates.");
    }
    const absl::Status validity = CheckValidity(path, authority.get(), now);
    if (validity.ok()) {
      any_valid = true;
    } else {
      expired = validity;
    }
  }
  if (!any_valid) return expired;
  return pem;
}

std::string CommonNameOf(const x509_st* certificate) {
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return "";
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  if (name.empty() || name.size() > kMaxNameBytes || !IsValidUtf8(name)) return "";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "";
  }
  return name;
}

Timestamp ExpiryOf(const x509_st* certificate) { return ToTimestamp(X509_get0_notAfter(certificate)); }

FileStamps::FileStamps(std::vector<std::string> paths)
    : paths_(std::move(paths)), in_force_(Look()), last_seen_(in_force_) {}

bool FileStamps::HaveChanged() {
  std::string now = Look();
  const bool settled = now == last_seen_;
  last_seen_ = std::move(now);
  if (!settled || last_seen_ == in_force_) return false;
  in_force_ = last_seen_;
  return true;
}

std::string FileStamps::Look() const {
  std::string all;
  for (const std::string& path : paths_) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
      all += "-\n";
      continue;
    }
    all += StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, ".",
                  info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec, "\n");
  }
  return all;
}

}  // namespace fabro::security
