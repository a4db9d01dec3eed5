// What the listener's TLS lets through, with a client of OpenSSL's.
#include "gateway/http/server_tls.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "core/async/runtime.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/http/listener.h"
#include "tests/gateway/http/raw_client.h"
#include "tests/support/manual_time.h"
#include "tests/support/pki.h"
#include "tests/support/temp_directory.h"

namespace fabro::http {
namespace {

using namespace std::chrono_literals;
using namespace fabro::testing;

// Answers with the common name on the client's certificate, or "nobody".
class WhoAsks final : public Handler {
 public:
  Task<Response> Handle(Request request) override {
    Response response;
    response.body = request.certificate ? request.certificate->common_name : "nobody";
    co_return response;
  }
};

using ClientContext = std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* context) { SSL_CTX_free(context); })>;
using Session =
    std::unique_ptr<SSL_SESSION, decltype([](SSL_SESSION* session) { SSL_SESSION_free(session); })>;

class ServerTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // for the client
    WriteIdentity(Issue({}, &authority_));
    WriteFile(Path("ca"), authority_.cert_pem());
  }
  void TearDown() override {
    if (listener_) listener_->Stop(5s);
  }

  std::string Path(const char* name) const { return (files_.path() / name).string(); }
  void WriteIdentity(const Issued& identity) {
    WriteFile(Path("crt"), identity.cert_pem());
    WriteFile(Path("key"), identity.key_pem());
  }
  absl::StatusOr<std::unique_ptr<ServerTls>> Load(ClientCertificates clients) {
    return ServerTls::Load({Path("crt"), Path("key"), Path("ca")}, clients, time_);
  }
  void Start(ClientCertificates clients, HttpLimits limits = {}) {
    auto tls = Load(clients);
    ASSERT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
    limits.tick = 10ms;
    ListenerOptions options;
    options.limits = limits;
    options.tls = tls_.get();
    listener_ = std::make_unique<Listener>(runtime_, SystemTime(), options);
    ASSERT_TRUE(listener_->Bind().ok());
    listener_->Start(handler_);
  }
  // Replaced files count once they look the same twice.
  void Refresh() {
    tls_->Refresh();
    tls_->Refresh();
  }

  ClientContext NewClient(const Issued* identity = nullptr, const Issued* intermediate = nullptr) {
    ClientContext client(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_session_cache_mode(client.get(), SSL_SESS_CACHE_CLIENT);
    if (identity != nullptr) {
      SSL_CTX_use_certificate(client.get(), identity->certificate.get());
      SSL_CTX_use_PrivateKey(client.get(), identity->key.get());
    }
    if (intermediate != nullptr) SSL_CTX_add1_chain_cert(client.get(), intermediate->certificate.get());
    return client;
  }
  std::unique_ptr<RawClient> Connect(const ClientContext& client, SSL_SESSION* resume = nullptr) {
    return std::make_unique<RawClient>(listener_->port(), 0, client.get(), resume);
  }
  // The body of an answer; empty when there is none.
  static std::string Ask(RawClient& client) {
    if (!client.connected() || !client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) return "";
    const std::string answer = client.ReadAnswer();
    const std::size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
  }
  std::string AskWith(const Issued* identity, const Issued* intermediate = nullptr) {
    const ClientContext client = NewClient(identity, intermediate);
    return Ask(*Connect(client));
  }
  std::uint64_t Count(std::string_view kind) {
    metrics::Text text;
    tls_->Write(text);
    const std::string all = text.Take();
    const std::string name = StrCat("kind=\"", kind, "\"} ");
    return std::stoull(all.substr(all.find(name) + name.size()));
  }

  const TempDirectory files_;
  const Issued authority_ = MakeAuthority("authority");
  ManualTime time_{Timestamp{std::time(nullptr) * 1000}};
  WhoAsks handler_;
  Runtime runtime_{2};
  std::unique_ptr<ServerTls> tls_;
  std::unique_ptr<Listener> listener_;
};

TEST_F(ServerTlsTest, SpeaksModernTlsOnly) {
  Start(ClientCertificates::kNone);
  const struct {
    int version;
    const char* ciphers12;
    bool works;
  } kCases[] = {
      {TLS1_3_VERSION, nullptr, true},
      {TLS1_2_VERSION, nullptr, true},
      {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true},
      {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", true},
      {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", false},
      {TLS1_2_VERSION, "AES128-GCM-SHA256:@SECLEVEL=0", false},
      {TLS1_2_VERSION, "AECDH-AES128-SHA:NULL-SHA256:@SECLEVEL=0", false},
      {TLS1_1_VERSION, "ALL:@SECLEVEL=0", false},
      {TLS1_VERSION, "ALL:@SECLEVEL=0", false},
  };
  for (const auto& c : kCases) {
    const ClientContext client = NewClient();
    SSL_CTX_set_min_proto_version(client.get(), c.version);
    SSL_CTX_set_max_proto_version(client.get(), c.version);
    if (c.ciphers12 != nullptr) SSL_CTX_set_cipher_list(client.get(), c.ciphers12);
    EXPECT_EQ(Ask(*Connect(client)), c.works ? "nobody" : "")
        << c.version << ' ' << (c.ciphers12 ? c.ciphers12 : "");
  }
}

TEST_F(ServerTlsTest, AgreesOnHttp11Alone) {
  Start(ClientCertificates::kNone);
  const struct {
    std::string offer;
    bool works;
  } kCases[] = {{"\x08http/1.1", true},
                {std::string("\x02h2\x08http/1.1"), true},
                {"\x02h2", false},
                {"\x08http/1.0", false}};
  for (const auto& c : kCases) {
    const ClientContext client = NewClient();
    SSL_CTX_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>(c.offer.data()),
                            static_cast<unsigned>(c.offer.size()));
    auto connection = Connect(client);
    EXPECT_EQ(Ask(*connection), c.works ? "nobody" : "") << c.offer;
    if (!c.works) continue;
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(connection->ssl(), &chosen, &size);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "http/1.1");
  }
}

TEST_F(ServerTlsTest, SendsHsts) {
  Start(ClientCertificates::kNone);
  const ClientContext client = NewClient();
  auto connection = Connect(client);
  connection->Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(connection->ReadAnswer().find("\r\nStrict-Transport-Security: max-age="), std::string::npos);
}

TEST_F(ServerTlsTest, TellsPlainHttpWhatItSpeaks) {
  Start(ClientCertificates::kRequired);
  for (const char* verb : {"GET", "POST", "HEAD", "PUT"}) {
    RawClient plain(listener_->port());
    plain.Send(StrCat(verb, " /runs HTTP/1.1\r\nHost: x\r\n\r\n"));
    const std::string answer = plain.ReadToEnd();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 Bad Request\r\n")) << answer;
    EXPECT_NE(answer.find("HTTPS"), std::string::npos);
  }
}

TEST_F(ServerTlsTest, ClosesOnAnythingThatIsNoHandshake) {
  HttpLimits limits;
  limits.header_timeout = 50ms;
  Start(ClientCertificates::kNone, limits);
  for (const std::string& bytes :
       std::vector<std::string>{"DELETE /runs HTTP/1.1\r\n\r\n", std::string(5000, '\0'),
                                "\x16\x03\x01\x40\x01", "\x16\x03\x01", "SSH-2.0-x\r\n", ""}) {
    RawClient plain(listener_->port());
    plain.Send(bytes);
    (void)plain.ReadToEnd();
    EXPECT_TRUE(plain.IsClosed());
  }
  RawClient gone(listener_->port());
  gone.Close();
  const ClientContext client = NewClient();
  EXPECT_EQ(Ask(*Connect(client)), "nobody");
  EXPECT_GE(Count("failed"), 6u);
}

TEST_F(ServerTlsTest, RefusesRenegotiation) {
  Start(ClientCertificates::kNone);
  const ClientContext client = NewClient();
  SSL_CTX_set_max_proto_version(client.get(), TLS1_2_VERSION);
  auto connection = Connect(client);
  EXPECT_EQ(Ask(*connection), "nobody");
  SSL_renegotiate(connection->ssl());
  EXPECT_NE(SSL_do_handshake(connection->ssl()), 1);
}

TEST_F(ServerTlsTest, JudgesClientCertificates) {
  Start(ClientCertificates::kRequired);
  const Issued intermediate = MakeAuthority("between", &authority_);
  const Issued stranger = MakeAuthority("authority");  // the same name, another key
  const std::int64_t now = std::time(nullptr);
  const auto client = [](const Issued& issuer, auto change) {
    CertificateSpec spec;
    spec.common_names = {"alice"};
    spec.usage = "clientAuth";
    spec.alternative_names = "";
    change(spec);
    return Issue(spec, &issuer);
  };
  const auto as_it_is = [](CertificateSpec&) {};
  EXPECT_EQ(AskWith(nullptr), "");
  const struct {
    const char* what;
    Issued identity;
    const Issued* between;
    const char* name;
  } kCases[] = {
      {"good", client(authority_, as_it_is), nullptr, "alice"},
      {"an RSA key", client(authority_, [](auto& s) { s.key_kind = "RSA"; }), nullptr, "alice"},
      {"no extended key usage", client(authority_, [](auto& s) { s.usage = ""; }), nullptr, "alice"},
      {"both usages", client(authority_, [](auto& s) { s.usage = "serverAuth,clientAuth"; }), nullptr,
       "alice"},
      {"a server's", client(authority_, [](auto& s) { s.usage = "serverAuth"; }), nullptr, ""},
      {"for code", client(authority_, [](auto& s) { s.usage = "codeSigning"; }), nullptr, ""},
      {"key usage", client(authority_, [](auto& s) { s.key_usage = "critical,keyEncipherment"; }), nullptr,
       ""},
      {"expired", client(authority_, [&](auto& s) { s.to = now - 1; }), nullptr, ""},
      {"not yet valid", client(authority_, [&](auto& s) { s.from = now + 600; }), nullptr, ""},
      {"no name", client(authority_, [](auto& s) { s.common_names = {}; }), nullptr, "(none)"},
      {"two names", client(authority_, [](auto& s) { s.common_names = {"alice", "bob"}; }), nullptr,
       "(none)"},
      {"through another authority", client(intermediate, as_it_is), &intermediate, "alice"},
      {"which it does not show", client(intermediate, as_it_is), nullptr, ""},
      {"a stranger's", client(stranger, as_it_is), nullptr, ""},
      {"a stranger's with chain", client(stranger, as_it_is), &stranger, ""},
      {"signed by a user", client(client(authority_, as_it_is), as_it_is), nullptr, ""},
  };
  for (const auto& c : kCases) {
    const std::string name = c.name == std::string("(none)") ? "" : c.name;
    const ClientContext context = NewClient(&c.identity, c.between);
    auto connection = Connect(context);
    EXPECT_EQ(Ask(*connection), name) << c.what;
  }
  CertificateSpec own;
  own.common_names = {"alice"};
  own.usage = "clientAuth";
  const Issued self_signed = Issue(own, nullptr);
  EXPECT_EQ(AskWith(&self_signed), "");
}

TEST_F(ServerTlsTest, AsksWithoutInsistingWhenThereIsAnotherWayIn) {
  Start(ClientCertificates::kOptional);
  EXPECT_EQ(AskWith(nullptr), "nobody");
  const Issued alice = MakeClient("alice", authority_);
  EXPECT_EQ(AskWith(&alice), "alice");
  const Issued stranger = MakeClient("alice", MakeAuthority("other"));
  EXPECT_EQ(AskWith(&stranger), "");
}

TEST_F(ServerTlsTest, DoesNotLookAtCertificatesThatItDidNotAskFor) {
  Start(ClientCertificates::kNone);
  const Issued alice = MakeClient("alice", authority_);
  EXPECT_EQ(AskWith(&alice), "nobody");
}

class Resumption : public ServerTlsTest, public ::testing::WithParamInterface<int> {
 protected:
  ClientContext NewVersionedClient(const Issued* identity) {
    ClientContext client = NewClient(identity);
    SSL_CTX_set_min_proto_version(client.get(), GetParam());
    SSL_CTX_set_max_proto_version(client.get(), GetParam());
    return client;
  }
  // A session to resume, from a connection that was used.
  Session NewSession(const ClientContext& client, SSL_SESSION* resume = nullptr) {
    auto connection = Connect(client, resume);
    answer_ = Ask(*connection);
    Session session(SSL_get1_session(connection->ssl()));
    SSL_shutdown(connection->ssl());
    return session;
  }
  std::string answer_;
};
INSTANTIATE_TEST_SUITE_P(Versions, Resumption, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_P(Resumption, KeepsWhoTheClientIs) {
  Start(ClientCertificates::kRequired);
  const Issued alice = MakeClient("alice", authority_);
  const ClientContext client = NewVersionedClient(&alice);
  Session session = NewSession(client);
  EXPECT_EQ(answer_, "alice");
  for (int i = 0; i < 3; ++i) {
    session = NewSession(client, session.get());
    EXPECT_EQ(answer_, "alice");
  }
  EXPECT_EQ(Count("full"), 1u);
  EXPECT_EQ(Count("resumed"), 3u);
}

TEST_P(Resumption, EndsWithTheAuthorityThatVouched) {
  Start(ClientCertificates::kRequired);
  const Issued alice = MakeClient("alice", authority_);
  const ClientContext client = NewVersionedClient(&alice);
  const Session session = NewSession(client);
  ASSERT_EQ(answer_, "alice");
  WriteFile(Path("ca"), MakeAuthority("new").cert_pem());
  Refresh();
  EXPECT_EQ(Ask(*Connect(client, session.get())), "");
  EXPECT_EQ(Count("resumed"), 0u);
}

TEST_P(Resumption, EndsWithTheCertificate) {
  Start(ClientCertificates::kOptional);
  CertificateSpec spec;
  spec.common_names = {"alice"};
  spec.usage = "clientAuth";
  spec.to = std::time(nullptr) + 1000;
  const Issued alice = Issue(spec, &authority_);
  const ClientContext client = NewVersionedClient(&alice);
  Session session = NewSession(client);
  session = NewSession(client, session.get());
  EXPECT_EQ(Count("resumed"), 1u);
  time_.Advance(1001s);  // OpenSSL's own clock stays, so the full handshake goes well
  session = NewSession(client, session.get());
  EXPECT_EQ(Count("resumed"), 1u);
  EXPECT_EQ(Count("full"), 2u);
}

TEST_P(Resumption, TicketsLoseTheirKeyInTime) {
  Start(ClientCertificates::kNone);
  const ClientContext client = NewVersionedClient(nullptr);
  const Session session = NewSession(client);
  time_.Advance(ServerTls::kTicketLife);
  tls_->Refresh();
  (void)NewSession(client, session.get());
  EXPECT_EQ(answer_, "nobody");
  EXPECT_EQ(Count("resumed"), 0u);
}

TEST_F(ServerTlsTest, TakesNewFilesWhileItRunsAndOnlyGoodOnes) {
  Start(ClientCertificates::kNone);
  const ClientContext client = NewClient();
  const auto shown = [&] {
    auto connection = Connect(client);
    EXPECT_EQ(Ask(*connection), "nobody");
    const X509Ptr certificate(SSL_get1_peer_certificate(connection->ssl()));
    return security::CommonNameOf(certificate.get());
  };
  auto old = Connect(client);
  EXPECT_EQ(Ask(*old), "nobody");
  EXPECT_EQ(shown(), "localhost");
  CertificateSpec renewed;
  renewed.common_names = {"renewed"};
  WriteIdentity(Issue(renewed, &authority_));
  Refresh();
  EXPECT_EQ(shown(), "renewed");
  EXPECT_EQ(Ask(*old), "nobody");
  WriteFile(Path("key"), "rubbish");
  Refresh();
  EXPECT_EQ(shown(), "renewed");
  CertificateSpec expired;
  expired.to = std::time(nullptr) - 1;
  WriteIdentity(Issue(expired, &authority_));
  Refresh();
  EXPECT_EQ(shown(), "renewed");
  renewed.common_names = {"again"};
  WriteIdentity(Issue(renewed, &authority_));
  Refresh();
  EXPECT_EQ(shown(), "again");
}

TEST_F(ServerTlsTest, VerifiesOpenConnectionsAnewWhenAuthoritiesChange) {
  Start(ClientCertificates::kOptional);
  const Issued alice = MakeClient("alice", authority_);
  const Issued other = MakeAuthority("other");
  const Issued intermediate = MakeAuthority("between", &authority_);
  const Issued bob = MakeClient("bob", intermediate);
  const ClientContext alices = NewClient(&alice);
  const ClientContext bobs = NewClient(&bob, &intermediate);
  auto alice_connection = Connect(alices);
  auto bob_connection = Connect(bobs);
  EXPECT_EQ(Ask(*alice_connection), "alice");
  EXPECT_EQ(Ask(*bob_connection), "bob");
  WriteFile(Path("ca"), other.cert_pem() + authority_.cert_pem());  // a new one beside the old one
  Refresh();
  EXPECT_EQ(Ask(*alice_connection), "alice");
  EXPECT_EQ(Ask(*bob_connection), "bob");
  WriteFile(Path("ca"), other.cert_pem());
  Refresh();
  EXPECT_EQ(Ask(*alice_connection), "nobody");
  EXPECT_EQ(Ask(*bob_connection), "nobody");
  const ClientContext nobody = NewClient();
  EXPECT_EQ(Ask(*Connect(nobody)), "nobody");
  EXPECT_EQ(Ask(*Connect(alices)), "");
}

TEST_F(ServerTlsTest, TrustsAnAuthorityBelowOneThatIsNotNamed) {
  const Issued intermediate = MakeAuthority("between", &authority_);
  WriteFile(Path("ca"), intermediate.cert_pem());
  Start(ClientCertificates::kRequired);
  const Issued alice = MakeClient("alice", intermediate);
  const Issued bob = MakeClient("bob", authority_);
  EXPECT_EQ(AskWith(&alice), "alice");
  EXPECT_EQ(AskWith(&bob), "");
}

TEST_F(ServerTlsTest, StopsTheStartWithFilesThatAreNoGood) {
  const auto fails = [this](ClientCertificates clients, std::string_view says) {
    const auto tls = Load(clients);
    EXPECT_FALSE(tls.ok()) << says;
    EXPECT_NE(MessageOf(tls.status()).find(says), std::string::npos) << tls.status();
  };
  ASSERT_TRUE(Load(ClientCertificates::kRequired).ok());
  WriteFile(Path("ca"), "rubbish");
  ASSERT_TRUE(Load(ClientCertificates::kNone).ok());
  fails(ClientCertificates::kOptional, Path("ca"));
  WriteFile(Path("ca"), MakeClient("alice", authority_).cert_pem());
  fails(ClientCertificates::kOptional, "CA:FALSE");
  WriteFile(Path("key"), Issue({}, &authority_).key_pem());
  fails(ClientCertificates::kNone, "is not the key of the certificate");
  WriteIdentity(MakeClient("alice", authority_));
  fails(ClientCertificates::kNone, "serverAuth");
  CertificateSpec expired;
  expired.to = std::time(nullptr) - 1;
  WriteIdentity(Issue(expired, &authority_));
  fails(ClientCertificates::kNone, "has expired");
  std::filesystem::remove(Path("crt"));
  fails(ClientCertificates::kNone, "cannot be read");
}

}  // namespace
}  // namespace fabro::http
