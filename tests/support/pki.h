// Authorities, certificates and keys for tests, made when the test runs: nothing of the kind is kept in the
// tree.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace fabro::testing {

struct OpenSslFree {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using X509Ptr = std::unique_ptr<X509, OpenSslFree>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslFree>;
using BioPtr = std::unique_ptr<BIO, OpenSslFree>;

inline std::string TextOf(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

// "EC" (P-256), "ED25519", "ED448" or "RSA" (2048 bits).
inline KeyPtr MakeKey(const std::string& kind = "EC") {
  if (kind == "EC") return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (kind == "RSA") return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
  return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, kind.c_str()));
}

inline std::string PrivatePem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  FABRO_CHECK(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return TextOf(bio.get());
}

inline std::string PublicPem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  FABRO_CHECK(PEM_write_bio_PUBKEY(bio.get(), key) == 1);
  return TextOf(bio.get());
}

struct CertificateSpec {
  std::vector<std::string> common_names = {"localhost"};  // any number
  std::string usage = "serverAuth";  // extended key usage; empty: the extension is absent
  std::string key_usage;             // empty: absent
  std::string alternative_names = "DNS:localhost,IP:127.0.0.1";
  bool is_authority = false;
  std::int64_t from = 0;  // Unix seconds; 0: an hour before now
  std::int64_t to = 0;    // 0: a day after now
  std::string key_kind = "EC";
};

// A certificate with its key.
struct Issued {
  X509Ptr certificate;
  KeyPtr key;

  std::string cert_pem() const {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    FABRO_CHECK(PEM_write_bio_X509(bio.get(), certificate.get()) == 1);
    return TextOf(bio.get());
  }
  std::string key_pem() const { return PrivatePem(key.get()); }
};

inline void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  FABRO_CHECK(extension != nullptr);
  FABRO_CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself when that is null.
inline Issued Issue(const CertificateSpec& spec, const Issued* issuer) {
  static std::int64_t serial = 1;
  Issued issued{X509Ptr(X509_new()), MakeKey(spec.key_kind)};
  X509* const certificate = issued.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), ++serial);
  const std::int64_t now = std::time(nullptr);
  ASN1_TIME_set(X509_getm_notBefore(certificate), spec.from != 0 ? spec.from : now - 3600);
  ASN1_TIME_set(X509_getm_notAfter(certificate), spec.to != 0 ? spec.to : now + 86'400);
  X509_set_pubkey(certificate, issued.key.get());
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("tests"), -1,
                             -1, 0);
  for (const std::string& common_name : spec.common_names) {
    FABRO_CHECK(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                           reinterpret_cast<const unsigned char*>(common_name.data()),
                                           static_cast<int>(common_name.size()), -1, 0) == 1);
  }
  X509* const signer = issuer != nullptr ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer));
  AddExtension(certificate, signer, NID_basic_constraints,
               spec.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!spec.usage.empty()) AddExtension(certificate, signer, NID_ext_key_usage, spec.usage);
  if (!spec.key_usage.empty()) AddExtension(certificate, signer, NID_key_usage, spec.key_usage);
  if (!spec.alternative_names.empty()) {
    AddExtension(certificate, signer, NID_subject_alt_name, spec.alternative_names);
  }
  EVP_PKEY* const key = issuer != nullptr ? issuer->key.get() : issued.key.get();
  const int type = EVP_PKEY_get_base_id(key);
  const bool hashes = type != EVP_PKEY_ED25519 && type != EVP_PKEY_ED448;
  FABRO_CHECK(X509_sign(certificate, key, hashes ? EVP_sha256() : nullptr) > 0);
  return issued;
}

inline Issued MakeAuthority(const std::string& name, const Issued* issuer = nullptr) {
  CertificateSpec spec;
  spec.common_names = {name};
  spec.usage = "";
  spec.key_usage = "critical,keyCertSign,cRLSign";
  spec.alternative_names = "";
  spec.is_authority = true;
  return Issue(spec, issuer);
}

inline Issued MakeClient(const std::string& common_name, const Issued& issuer) {
  CertificateSpec spec;
  spec.common_names = {common_name};
  spec.usage = "clientAuth";
  spec.alternative_names = "";
  return Issue(spec, &issuer);
}

// Replaces the file whole, as certificates should be replaced.
inline void WriteFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  std::ofstream(fresh, std::ios::binary) << text;
  FABRO_CHECK(std::rename(fresh.c_str(), path.c_str()) == 0);
}

}  // namespace fabro::testing
