#include "gateway/http/server_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::http {
namespace {

using Pem = std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free(bio); })>;
using Certificate = std::unique_ptr<X509, decltype([](X509* certificate) { X509_free(certificate); })>;
using Key = std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* key) { EVP_PKEY_free(key); })>;

constexpr int kMaxChain = 6;
constexpr int kSecurityLevel = 2;  // 112 bits: no RSA below 2048, no SHA-1
constexpr char kCiphers12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr char kGroups[] = "X25519:P-256:P-384";
constexpr unsigned char kSessionContext[] = "fabro-api";
constexpr std::string_view kHttp11 = "http/1.1";

Pem Open(const std::string& pem) { return Pem(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

std::vector<Certificate> CertificatesIn(const std::string& pem) {
  const Pem bio = Open(pem);
  std::vector<Certificate> found;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) found.emplace_back(next);
  ERR_clear_error();  // the end of the text is an error to it
  return found;
}

absl::Status OpenSslError(std::string_view doing) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return FailedPrecondition(Reason::kInvalidArgument, "api.tls", StrCat(doing, ": ", text));
}

// A client that offers protocols and not this one speaks something else: RFC 7301 ends the handshake.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                   unsigned offered_size, void*) {
  for (unsigned at = 0; at < offered_size && at + 1 + offered[at] <= offered_size; at += 1 + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name != kHttp11) continue;
    *chosen = offered + at + 1;
    *size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// The earliest end of the client's certificate and of those that vouch for it. A resumed session has only the
// certificate itself left, hence the instant travels in the ticket.
std::int64_t EndOfTrust(SSL* ssl) {
  if (STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl)) {
    std::int64_t end = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < sk_X509_num(chain); ++i) {
      end = std::min(end, security::ExpiryOf(sk_X509_value(chain, i)).unix_ms);
    }
    return end;
  }
  void* data = nullptr;
  std::size_t size = 0;
  std::int64_t end = 0;
  SSL_SESSION* const session = SSL_get_session(ssl);
  if (session != nullptr && SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 &&
      size == sizeof end) {
    std::memcpy(&end, data, sizeof end);
  }
  return end;
}

int OnTicketMade(SSL* ssl, void*) {
  const std::int64_t end = EndOfTrust(ssl);
  return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &end, sizeof end);
}

// A ticket whose certificate has ended since asks for a handshake in full, which will say so.
SSL_TICKET_RETURN OnTicketUsed(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                               SSL_TICKET_STATUS status, void* clock) {
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  void* data = nullptr;
  std::size_t size = 0;
  std::int64_t end = 0;
  if (SSL_SESSION_get0_peer(session) != nullptr) {
    if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) == 1 && size == sizeof end) {
      std::memcpy(&end, data, sizeof end);
    }
    if (static_cast<const Clock*>(clock)->Now().unix_ms >= end) return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

bool ShowIdentity(SSL_CTX* context, const security::Identity& identity) {
  std::vector<Certificate> chain = CertificatesIn(identity.chain_pem);
  const Key key(PEM_read_bio_PrivateKey(Open(identity.key_pem.Reveal()).get(), nullptr, nullptr, nullptr));
  if (chain.empty() || !key || SSL_CTX_use_certificate(context, chain.front().get()) != 1) return false;
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return false;
  }
  return SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

bool AskClients(SSL_CTX* context, const std::string& authorities_pem, ClientCertificates clients) {
  for (const Certificate& authority : CertificatesIn(authorities_pem)) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) return false;
    if (SSL_CTX_add_client_CA(context, authority.get()) != 1) return false;
  }
  // Whatever the file names is trusted, be it below an authority that the file does not name.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify_depth(context, kMaxChain);
  const bool required = clients == ClientCertificates::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return true;
}

// Each has keys of its own for tickets, so none outlives a change of certificates or authorities.
absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeContext(const security::Identity& identity,
                                                     const std::string& authorities_pem,
                                                     ClientCertificates clients, const Clock& clock) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return OpenSslError("making a TLS context");
  SSL_CTX* const c = context.get();
  SSL_CTX_set_security_level(c, kSecurityLevel);
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                             SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(c, std::chrono::duration_cast<std::chrono::seconds>(ServerTls::kTicketLife).count());
  SSL_CTX_set_num_tickets(c, 1);
  SSL_CTX_set_session_ticket_cb(c, OnTicketMade, OnTicketUsed, const_cast<Clock*>(&clock));
  SSL_CTX_set_alpn_select_cb(c, ChooseProtocol, nullptr);
  const bool good = SSL_CTX_set_cipher_list(c, kCiphers12) == 1 &&
                    SSL_CTX_set1_groups_list(c, kGroups) == 1 &&
                    SSL_CTX_set_session_id_context(c, kSessionContext, sizeof kSessionContext - 1) == 1 &&
                    ShowIdentity(c, identity) &&
                    (clients == ClientCertificates::kNone || AskClients(c, authorities_pem, clients));
  if (!good) return OpenSslError("api.tls: the certificates cannot be used");
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerTls>> ServerTls::Load(TlsFiles files, ClientCertificates clients,
                                                           const Clock& clock) {
  security::FileStamps stamps(clients == ClientCertificates::kNone
                                  ? std::vector<std::string>{files.cert, files.key}
                                  : std::vector<std::string>{files.cert, files.key, files.ca});
  std::unique_ptr<ServerTls> tls(new ServerTls(std::move(files), clients, clock, std::move(stamps)));
  FABRO_ASSIGN_OR_RETURN(Material material, tls->Read());
  FABRO_RETURN_IF_ERROR(tls->Use(std::move(material)));
  return tls;
}

ServerTls::ServerTls(TlsFiles files, ClientCertificates clients, const Clock& clock,
                     security::FileStamps stamps)
    : files_(std::move(files)), clients_(clients), clock_(clock), stamps_(std::move(stamps)) {}

absl::StatusOr<ServerTls::Material> ServerTls::Read() const {
  const Timestamp now = clock_.Now();
  Material material;
  FABRO_ASSIGN_OR_RETURN(material.identity, security::LoadIdentity(files_.cert, files_.key,
                                                                   security::CertificateUse::kServer, now));
  if (clients_ == ClientCertificates::kNone) return material;
  FABRO_ASSIGN_OR_RETURN(material.authorities_pem, security::LoadAuthorities(files_.ca, now));
  return material;
}

absl::Status ServerTls::Use(Material material) {
  FABRO_ASSIGN_OR_RETURN(std::shared_ptr<SSL_CTX> context,
                         MakeContext(material.identity, material.authorities_pem, clients_, clock_));
  const bool new_authorities = material.authorities_pem != material_.authorities_pem;
  material_ = std::move(material);
  keys_made_at_ = clock_.Steady();
  MutexLock lock(&mutex_);
  context_ = std::move(context);
  if (new_authorities) authorities_.fetch_add(1);
  return absl::OkStatus();
}

void ServerTls::Refresh() {
  if (!stamps_.HaveChanged()) {
    if (clock_.Steady() - keys_made_at_ < kTicketLife) return;
    Material same = material_;
    const absl::Status renewed = Use(std::move(same));
    if (!renewed.ok()) log::Error("the keys of TLS tickets stay as they are", {{"error", renewed}});
    keys_made_at_ = clock_.Steady();
    return;
  }
  absl::StatusOr<Material> material = Read();
  absl::Status status = material.status();
  if (status.ok()) status = Use(*std::move(material));
  if (!status.ok()) {
    log::Error("new TLS files are not taken; the ones in force stay", {{"error", status}});
    return;
  }
  log::Info("new TLS files are in force",
            {{"certificate", files_.cert}, {"expires_at", FormatRfc3339(material_.identity.expires_at)}});
}

ServerTls::Context ServerTls::Current() const {
  MutexLock lock(&mutex_);
  return {context_, authorities_.load()};
}

std::shared_ptr<const security::PeerCertificate> ServerTls::CertificateOf(ssl_st* ssl) const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return nullptr;
  security::PeerCertificate peer{security::CommonNameOf(certificate), Timestamp{EndOfTrust(ssl)}};
  return std::make_shared<const security::PeerCertificate>(std::move(peer));
}

std::shared_ptr<const security::PeerCertificate> ServerTls::VerifyAgain(ssl_st* ssl) const {
  X509* const certificate = SSL_get0_peer_certificate(ssl);
  const Context current = Current();
  const std::unique_ptr<X509_STORE_CTX, decltype([](X509_STORE_CTX* c) { X509_STORE_CTX_free(c); })>
      verification(X509_STORE_CTX_new());
  const bool begun = certificate != nullptr && verification &&
                     X509_STORE_CTX_init(verification.get(), SSL_CTX_get_cert_store(current.ssl.get()),
                                         certificate, SSL_get_peer_cert_chain(ssl)) == 1;
  bool good = begun && X509_STORE_CTX_set_default(verification.get(), "ssl_client") == 1;
  if (good) {
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(verification.get()), X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(verification.get()), kSecurityLevel);
    good = X509_verify_cert(verification.get()) == 1;
  }
  ERR_clear_error();
  if (!good) return nullptr;
  security::PeerCertificate peer{security::CommonNameOf(certificate), security::ExpiryOf(certificate)};
  STACK_OF(X509)* const chain = X509_STORE_CTX_get0_chain(verification.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    peer.expires_at = std::min(peer.expires_at, security::ExpiryOf(sk_X509_value(chain, i)));
  }
  return std::make_shared<const security::PeerCertificate>(std::move(peer));
}

void ServerTls::Write(metrics::Text& text) const {
  text.Family("fabro_tls_handshakes_total", "counter", "TLS handshakes with clients, by how they ended.");
  text.Sample(handshakes_[0].value(), "kind=\"full\"");
  text.Sample(handshakes_[1].value(), "kind=\"resumed\"");
  text.Sample(handshakes_[2].value(), "kind=\"failed\"");
}

}  // namespace fabro::http
