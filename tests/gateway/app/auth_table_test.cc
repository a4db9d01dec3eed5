// Who is let in, as a table: every row is a request over real TLS to a real gateway, with a scripted core
// behind it that says whom it was called for.
#include <gtest/gtest.h>

#include <csignal>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "core/base/strings.h"
#include "core/config/server_config.h"
#include "core/security/principal.h"
#include "fabro/v1/discovery.pb.h"
#include "gateway/app/gateway_app.h"
#include "tests/gateway/http/raw_client.h"
#include "tests/gateway/upstream/scripted_core.h"
#include "tests/support/temp_directory.h"
#include "tests/support/tokens.h"

namespace fabro::gateway {
namespace {

using namespace fabro::testing;
using config::AuthStrategy;
using http::RawClient;

// A gateway for every order of strategies, all before one core.
enum class Door { kJwt, kMtls, kJwtThenMtls, kMtlsThenJwt, kNobody };

struct Row {
  std::string what;
  Door door;
  std::string headers;                   // lines with their ends
  const Issued* identity;                // null: shows no certificate
  std::string expected;                  // the login; "401"; "403"; "none": no answer, as the handshake fails
  const Issued* intermediate = nullptr;  // shown behind it
  std::string request = "GET /user";
};

class AuthTable : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = std::make_unique<World>(); }
  static void TearDownTestSuite() { world_.reset(); }

  struct World {
    World() {
      ::signal(SIGPIPE, SIG_IGN);  // for the client
      const Issued identity = Issue({}, &authority);
      WriteFile(Path("crt"), identity.cert_pem());
      WriteFile(Path("key"), identity.key_pem());
      WriteFile(Path("ca"), authority.cert_pem());
      core.Start("");
      Open(Door::kJwt, {AuthStrategy::kJwt});
      Open(Door::kMtls, {AuthStrategy::kMtls});
      Open(Door::kJwtThenMtls, {AuthStrategy::kJwt, AuthStrategy::kMtls});
      Open(Door::kMtlsThenJwt, {AuthStrategy::kMtls, AuthStrategy::kJwt});
      Open(Door::kNobody, {});
    }
    std::string Path(const char* name) const { return (files.path() / name).string(); }
    void Open(Door door, std::vector<AuthStrategy> strategies) {
      GatewayOptions options;
      options.strategies = std::move(strategies);
      options.jwt_public_key = Base64(PublicPem(key.get()));
      options.allowed_usernames = {"alice", "Bob-2", "\xc3\xa4nne", "cn:carol", "al%69ce"};
      options.tls = http::TlsFiles{Path("crt"), Path("key"), Path("ca")};
      auto app = GatewayApp::Start(core.Channel(), options);
      FABRO_CHECK(app.ok());
      doors[static_cast<std::size_t>(door)] = *std::move(app);
    }

    const TempDirectory files;
    const Issued authority = MakeAuthority("authority");
    const KeyPtr key = MakeKey("ED25519");
    ScriptedCore core{[](ScriptedCall& call) {
      v1::UserResponse user;
      user.set_login(security::DecodePrincipal(call.metadata["x-fabro-principal"]).value_or("?"));
      call.answers.push_back(ToBytes(user));
    }};
    std::unique_ptr<GatewayApp> doors[5];
  };

  static std::uint16_t Port(Door door) { return world_->doors[static_cast<std::size_t>(door)]->port(); }

  static std::string Ask(const Row& row) {
    const std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* c) { SSL_CTX_free(c); })> context(
        SSL_CTX_new(TLS_client_method()));
    if (row.identity != nullptr) {
      SSL_CTX_use_certificate(context.get(), row.identity->certificate.get());
      SSL_CTX_use_PrivateKey(context.get(), row.identity->key.get());
    }
    if (row.intermediate != nullptr) {
      SSL_CTX_add1_chain_cert(context.get(), row.intermediate->certificate.get());
    }
    RawClient client(Port(row.door), 0, context.get());
    if (!client.connected()) return "none";
    client.Send(StrCat(row.request, " HTTP/1.1\r\nHost: fabro.example\r\n", row.headers, "\r\n"));
    return Outcome(client.ReadAnswer());
  }

  // The login of a 200, else the status; checks that refusals are told as documented.
  static std::string Outcome(const std::string& answer) {
    if (answer.empty()) return "none";
    const std::string status = answer.substr(9, 3);
    if (status == "401") {
      EXPECT_NE(answer.find("\r\nWWW-Authenticate: Bearer\r\n"), std::string::npos) << answer;
      EXPECT_TRUE(answer.ends_with(
          R"({"errors":[{"status":"401","title":"Unauthorized","detail":"Authentication required."}]})"))
          << answer;
    }
    if (status == "403") {
      EXPECT_TRUE(
          answer.ends_with(R"({"errors":[{"status":"403","title":"Forbidden","detail":"Access denied."}]})"))
          << answer;
    }
    EXPECT_NE(answer.find("\r\nX-Request-Id: "), std::string::npos) << answer;
    EXPECT_NE(answer.find("\r\nStrict-Transport-Security: "), std::string::npos) << answer;
    const std::size_t at = answer.find(R"({"login":")");
    return status == "200" && at != std::string::npos ? answer.substr(at + 10, answer.size() - at - 12)
                                                      : status;
  }

  static void Check(const std::vector<Row>& rows) {
    for (const Row& row : rows) EXPECT_EQ(Ask(row), row.expected) << row.what;
  }

  static std::string Bearer(std::string_view token) {
    return StrCat("Authorization: Bearer ", token, "\r\n");
  }
  static std::string Signed(std::string_view claims, std::string_view header = kTokenHeader) {
    return Bearer(SignToken(world_->key.get(), claims, header));
  }
  static std::int64_t Now() { return std::time(nullptr); }
  static std::string TokenOf(std::string_view user) { return Signed(ClaimsFor(user, Now(), Now() + 600)); }
  static std::string SubjectOf(std::string_view subject) {
    return Signed(StrCat(R"({"iss":"fabro-web","sub":")", subject, R"(","iat":)", Now(), R"(,"exp":)",
                         Now() + 600, "}"));
  }
  static std::string Times(std::int64_t iat, std::int64_t exp, std::string_view more = "") {
    return Signed(StrCat(R"({"iss":"fabro-web","sub":"https://github.com/alice","iat":)", Now() + iat,
                         R"(,"exp":)", Now() + exp, more, "}"));
  }
  static std::string Claims(std::string_view claims) {
    return Signed(
        ReplaceAll(ReplaceAll(claims, "NOW", std::to_string(Now())), "SOON", std::to_string(Now() + 600)));
  }

  inline static std::unique_ptr<World> world_;
};

TEST_F(AuthTable, AlgorithmsAndSignatures) {
  EVP_PKEY* const key = world_->key.get();
  const std::string claims = ClaimsFor("alice", Now(), Now() + 600);
  const std::string good = SignToken(key, claims);
  const std::string body = good.substr(0, good.rfind('.'));
  const std::string pem = PublicPem(key);
  const auto hmac = [&](std::string_view header, std::string_view secret) {
    const std::string text = Unsigned(header, claims);
    return Bearer(text + "." + Base64Url(HmacOf(secret, text)));
  };
  const auto by_other = [&](const char* kind, std::string_view header) {
    return Bearer(SignToken(MakeKey(kind).get(), claims, header));
  };
  const Door d = Door::kJwt;
  Check({
      {"a good token", d, Bearer(good), nullptr, "alice"},
      {"the same again, from memory", d, Bearer(good), nullptr, "alice"},
      {"no typ", d, Signed(claims, R"({"alg":"EdDSA"})"), nullptr, "alice"},
      {"another typ", d, Signed(claims, R"({"alg":"EdDSA","typ":"at+jwt"})"), nullptr, "alice"},
      {"a kid", d, Signed(claims, R"({"alg":"EdDSA","kid":"../../etc/passwd"})"), nullptr, "alice"},
      {"none, no signature", d, Bearer(Unsigned(R"({"alg":"none"})", claims) + "."), nullptr, "401"},
      {"none, signed", d, Signed(claims, R"({"alg":"none"})"), nullptr, "401"},
      {"None", d, Bearer(Unsigned(R"({"alg":"None"})", claims) + "."), nullptr, "401"},
      {"NONE", d, Bearer(Unsigned(R"({"alg":"NONE"})", claims) + "."), nullptr, "401"},
      {"no alg", d, Signed(claims, R"({"typ":"JWT"})"), nullptr, "401"},
      {"an empty alg", d, Signed(claims, R"({"alg":""})"), nullptr, "401"},
      {"null alg", d, Signed(claims, R"({"alg":null})"), nullptr, "401"},
      {"alg in lower case", d, Signed(claims, R"({"alg":"eddsa"})"), nullptr, "401"},
      {"alg by curve", d, Signed(claims, R"({"alg":"Ed25519"})"), nullptr, "401"},
      {"a list of alg", d, Signed(claims, R"({"alg":["EdDSA"]})"), nullptr, "401"},
      {"two alg", d, Signed(claims, R"({"alg":"EdDSA","alg":"none"})"), nullptr, "401"},
      {"two alg, one escaped", d, Signed(claims, R"({"alg":"EdDSA","a\u006cg":"EdDSA"})"), nullptr, "401"},
      {"HS256 keyed with the public PEM", d, hmac(R"({"alg":"HS256"})", pem), nullptr, "401"},
      {"HS256 keyed with nothing", d, hmac(R"({"alg":"HS256"})", ""), nullptr, "401"},
      {"an HMAC that says EdDSA", d, hmac(kTokenHeader, pem), nullptr, "401"},
      {"HS512", d, hmac(R"({"alg":"HS512"})", pem), nullptr, "401"},
      {"RS256", d, by_other("RSA", R"({"alg":"RS256"})"), nullptr, "401"},
      {"RSA that says EdDSA", d, by_other("RSA", kTokenHeader), nullptr, "401"},
      {"PS256", d, by_other("RSA", R"({"alg":"PS256"})"), nullptr, "401"},
      {"ES256", d, by_other("EC", R"({"alg":"ES256"})"), nullptr, "401"},
      {"EC that says EdDSA", d, by_other("EC", kTokenHeader), nullptr, "401"},
      {"Ed448", d, by_other("ED448", kTokenHeader), nullptr, "401"},
      {"another Ed25519 key", d, by_other("ED25519", kTokenHeader), nullptr, "401"},
      {"a key in the header", d,
       Signed(claims, R"({"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}})"), nullptr, "401"},
      {"another key, in the header", d, by_other("ED25519", R"({"alg":"EdDSA","jwk":{"kty":"OKP"}})"),
       nullptr, "401"},
      {"jku", d, Signed(claims, R"({"alg":"EdDSA","jku":"https://evil.example/keys"})"), nullptr, "401"},
      {"x5u", d, Signed(claims, R"({"alg":"EdDSA","x5u":"https://evil.example/c"})"), nullptr, "401"},
      {"x5c", d, Signed(claims, R"({"alg":"EdDSA","x5c":["AA"]})"), nullptr, "401"},
      {"crit", d, Signed(claims, R"({"alg":"EdDSA","crit":["x"],"x":1})"), nullptr, "401"},
      {"b64", d, Signed(claims, R"({"alg":"EdDSA","b64":false})"), nullptr, "401"},
      {"no signature", d, Bearer(body + "."), nullptr, "401"},
      {"two parts", d, Bearer(body), nullptr, "401"},
      {"four parts", d, Bearer(good + ".AA"), nullptr, "401"},
      {"five parts", d, Bearer(good + ".AA.AA"), nullptr, "401"},
      {"half a signature", d, Bearer(good.substr(0, good.size() - 43)), nullptr, "401"},
      {"a longer signature", d, Bearer(good + "AAAA"), nullptr, "401"},
      {"a signature of zeros", d, Bearer(body + "." + Base64Url(std::string(64, '\0'))), nullptr, "401"},
      {"padding", d, Bearer(good + "=="), nullptr, "401"},
      {"base64 that is not for URLs", d, Bearer(body + "." + std::string(86, '+')), nullptr, "401"},
      {"claims of another token", d,
       Bearer(Unsigned(kTokenHeader, ClaimsFor("Bob-2", Now(), Now() + 600)) + good.substr(good.rfind('.'))),
       nullptr, "401"},
      {"a token longer than any", d, Bearer(body + "." + std::string(9000, 'A')), nullptr, "401"},
      {"no token at all", d, "", nullptr, "401"},
      {"an empty one", d, "Authorization: Bearer\r\n", nullptr, "401"},
      {"another scheme", d, "Authorization: Basic YWxpY2U6eA==\r\n", nullptr, "401"},
      {"without a scheme", d, StrCat("Authorization: ", good, "\r\n"), nullptr, "401"},
      {"bearer in lower case", d, StrCat("authorization: bearer ", good, "\r\n"), nullptr, "alice"},
      {"two headers", d, Bearer(good) + Bearer(good), nullptr, "401"},
      {"two headers, the other one bad", d, Bearer("x") + Bearer(good), nullptr, "401"},
      {"a token in the query", d, "", nullptr, "401", nullptr, StrCat("GET /user?access_token=", good)},
      {"a token in a cookie", d, StrCat("Cookie: token=", good, "\r\n"), nullptr, "401"},
      {"a principal of the client's own", d, "X-Fabro-Principal: alice\r\n", nullptr, "401"},
  });
}

TEST_F(AuthTable, Times) {
  const Door d = Door::kJwt;
  // Seconds may pass between making and checking: bounds lie some seconds off (to the millisecond:
  // token_test).
  Check({
      {"an hour", d, Times(0, 3600), nullptr, "alice"},
      {"issued long ago", d, Times(-10'000'000, 600), nullptr, "alice"},
      {"for ten years", d, Times(0, 315'360'000), nullptr, "alice"},
      {"ended a moment ago", d, Times(-600, -20), nullptr, "alice"},
      {"ended a minute ago", d, Times(-600, -61), nullptr, "401"},
      {"ended an hour ago", d, Times(-7200, -3600), nullptr, "401"},
      {"ended in 1970", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW,"exp":0})"),
       nullptr, "401"},
      {"issued a little ahead", d, Times(55, 600), nullptr, "alice"},
      {"issued too far ahead", d, Times(90, 600), nullptr, "401"},
      {"not before now", d, Times(0, 600, StrCat(",\"nbf\":", Now())), nullptr, "alice"},
      {"not before a little ahead", d, Times(0, 600, StrCat(",\"nbf\":", Now() + 55)), nullptr, "alice"},
      {"not before too far ahead", d, Times(0, 600, StrCat(",\"nbf\":", Now() + 90)), nullptr, "401"},
      {"nbf as text", d, Times(0, 600, ",\"nbf\":\"0\""), nullptr, "401"},
      {"milliseconds", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW000,"exp":SOON000})"),
       nullptr, "401"},
      {"a fraction", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW.5,"exp":SOON})"),
       nullptr, "401"},
      {"an exponent", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW,"exp":9e9})"),
       nullptr, "401"},
      {"exp as text", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW,"exp":"SOON"})"),
       nullptr, "401"},
      {"negative iat", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":-1,"exp":SOON})"),
       nullptr, "401"},
      {"exp out of range", d,
       Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW,"exp":9223372036854775808})"), nullptr,
       "401"},
      {"exp twice", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW,"exp":1,"exp":SOON})"),
       nullptr, "401"},
      {"no exp", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW})"), nullptr, "401"},
      {"no iat", d, Claims(R"({"iss":"fabro-web","sub":"https://h/alice","exp":SOON})"), nullptr, "401"},
  });
}

TEST_F(AuthTable, IssuersAndSubjects) {
  const Door d = Door::kJwt;
  Check({
      {"no issuer", d, Claims(R"({"sub":"https://h/alice","iat":NOW,"exp":SOON})"), nullptr, "401"},
      {"another issuer", d, Claims(R"({"iss":"evil","sub":"https://h/alice","iat":NOW,"exp":SOON})"), nullptr,
       "401"},
      {"an issuer in capitals", d,
       Claims(R"({"iss":"FABRO-WEB","sub":"https://h/alice","iat":NOW,"exp":SOON})"), nullptr, "401"},
      {"two issuers", d, Claims(R"({"iss":["fabro-web"],"sub":"https://h/alice","iat":NOW,"exp":SOON})"),
       nullptr, "401"},
      {"no subject", d, Claims(R"({"iss":"fabro-web","iat":NOW,"exp":SOON})"), nullptr, "401"},
      {"a number", d, Claims(R"({"iss":"fabro-web","sub":1,"iat":NOW,"exp":SOON})"), nullptr, "401"},
      {"claims that are a list", d, Signed("[]"), nullptr, "401"},
      {"claims that are no JSON", d, Signed("alice"), nullptr, "401"},
      {"bytes behind the claims", d,
       Claims(R"({"iss":"fabro-web","sub":"https://h/alice","iat":NOW,"exp":SOON}{})"), nullptr, "401"},
      {"deep claims", d, Signed(std::string(2000, '[')), nullptr, "401"},
      {"more claims", d,
       Claims(R"({"iss":"fabro-web","sub":"https://h/alice","aud":["x"],"jti":"1","iat":NOW,"exp":SOON})"),
       nullptr, "alice"},
      {"a deeper path", d, SubjectOf("https://h/users/x/alice"), nullptr, "alice"},
      {"a query", d, SubjectOf("https://h/alice?u=/mallory"), nullptr, "alice"},
      {"a fragment", d, SubjectOf("https://h/alice#/mallory"), nullptr, "alice"},
      {"the name in the query", d, SubjectOf("https://h/mallory?/alice"), nullptr, "403"},
      {"the name in the fragment", d, SubjectOf("https://h/mallory#/alice"), nullptr, "403"},
      {"the name as host", d, SubjectOf("https://alice"), nullptr, "401"},
      {"the name as host with a path", d, SubjectOf("https://alice/mallory"), nullptr, "403"},
      {"a name alone", d, SubjectOf("alice"), nullptr, "401"},
      {"a mail address", d, SubjectOf("mailto:alice"), nullptr, "401"},
      {"a path alone", d, SubjectOf("/users/alice"), nullptr, "401"},
      {"a slash at the end", d, SubjectOf("https://h/alice/"), nullptr, "401"},
      {"no path", d, SubjectOf("https://h/"), nullptr, "401"},
      {"empty", d, SubjectOf(""), nullptr, "401"},
      {"a space", d, SubjectOf("https://h/ alice"), nullptr, "401"},
      {"an escape that would be a name", d, SubjectOf("https://h/alic%65"), nullptr, "403"},
      {"an escape that is on the list as it is", d, SubjectOf("https://h/al%69ce"), nullptr, "al%69ce"},
      {"a NUL", d, SubjectOf(R"(https://h/alice\u0000)"), nullptr, "401"},
      {"another user", d, TokenOf("mallory"), nullptr, "403"},
      {"another case", d, TokenOf("ALICE"), nullptr, "403"},
      {"a longer name", d, TokenOf("alice2"), nullptr, "403"},
      {"a shorter name", d, TokenOf("alic"), nullptr, "403"},
      {"signs in a name", d, TokenOf("Bob-2"), nullptr, "Bob-2"},
      {"letters of elsewhere", d, TokenOf("\xc3\xa4nne"), nullptr, "\xc3\xa4nne"},
      {"a user like a certificate", d, TokenOf("cn:carol"), nullptr, "user:cn:carol"},
      {"the other prefix", d, TokenOf("alice"), nullptr, "alice", nullptr, "GET /api/v1/user"},
  });
}

TEST_F(AuthTable, CertificatesAlone) {
  const Issued intermediate = MakeAuthority("between", &world_->authority);
  const Issued stranger = MakeAuthority("authority");
  const auto make = [](const Issued& issuer, auto change) {
    CertificateSpec spec;
    spec.common_names = {"carol"};
    spec.usage = "clientAuth";
    spec.alternative_names = "";
    change(spec);
    return Issue(spec, &issuer);
  };
  const auto plain = [](CertificateSpec&) {};
  const Issued carol = make(world_->authority, plain);
  const Issued by_intermediate = make(intermediate, plain);
  const Issued by_stranger = make(stranger, plain);
  const Issued by_carol = make(carol, plain);
  const Issued nameless = make(world_->authority, [](auto& s) { s.common_names = {}; });
  const Issued two = make(world_->authority, [](auto& s) { s.common_names = {"carol", "alice"}; });
  const Issued server = make(world_->authority, [](auto& s) { s.usage = "serverAuth"; });
  const Issued mail = make(world_->authority, [](auto& s) { s.usage = "emailProtection"; });
  const Issued both = make(world_->authority, [](auto& s) { s.usage = "clientAuth,serverAuth"; });
  const Issued unlimited = make(world_->authority, [](auto& s) { s.usage = ""; });
  const Issued wrong_use = make(world_->authority, [](auto& s) { s.key_usage = "critical,keyEncipherment"; });
  const Issued expired = make(world_->authority, [](auto& s) { s.to = Now() - 2; });
  const Issued early = make(world_->authority, [](auto& s) { s.from = Now() + 600; });
  const Issued rsa = make(world_->authority, [](auto& s) { s.key_kind = "RSA"; });
  const Issued edwards = make(world_->authority, [](auto& s) { s.key_kind = "ED25519"; });
  const Issued odd = make(world_->authority, [](auto& s) { s.common_names = {"cn:x y/\xc3\xa9%"}; });
  const Issued line = make(world_->authority, [](auto& s) { s.common_names = {"a\nb"}; });
  const Issued self_signed = Issue({.common_names = {"carol"}, .usage = "clientAuth"}, nullptr);
  const Issued old_intermediate = [&] {
    CertificateSpec spec;
    spec.common_names = {"between"};
    spec.usage = "";
    spec.key_usage = "critical,keyCertSign,cRLSign";
    spec.is_authority = true;
    spec.to = Now() - 2;
    return Issue(spec, &world_->authority);
  }();
  const Issued by_old = make(old_intermediate, plain);
  const Door d = Door::kMtls;
  Check({
      {"no certificate", d, "", nullptr, "none"},
      {"a token instead", d, TokenOf("alice"), nullptr, "none"},
      {"a good one", d, "", &carol, "cn:carol"},
      {"a good one on the other prefix", d, "", &carol, "cn:carol", nullptr, "GET /api/v1/user"},
      {"a token is not looked at", d, TokenOf("alice"), &carol, "cn:carol"},
      {"nor is a bad one", d, Bearer("x"), &carol, "cn:carol"},
      {"by an authority between", d, "", &by_intermediate, "cn:carol", &intermediate},
      {"which is not shown", d, "", &by_intermediate, "none"},
      {"by one between that has expired", d, "", &by_old, "none", &old_intermediate},
      {"by a stranger of the same name", d, "", &by_stranger, "none"},
      {"by a stranger who is shown", d, "", &by_stranger, "none", &stranger},
      {"by itself", d, "", &self_signed, "none"},
      {"by another user", d, "", &by_carol, "none", &carol},
      {"the authority's own, which is not for clients", d, "", &world_->authority, "none"},
      {"no name", d, "", &nameless, "401"},
      {"two names", d, "", &two, "401"},
      {"a line break in the name", d, "", &line, "401"},
      {"signs in the name", d, "", &odd, "cn:cn:x y/\xc3\xa9%"},
      {"a server's", d, "", &server, "none"},
      {"for mail", d, "", &mail, "none"},
      {"for clients and servers", d, "", &both, "cn:carol"},
      {"for anything", d, "", &unlimited, "cn:carol"},
      {"a key for another use", d, "", &wrong_use, "none"},
      {"expired", d, "", &expired, "none"},
      {"not yet valid", d, "", &early, "none"},
      {"RSA", d, "", &rsa, "cn:carol"},
      {"Ed25519", d, "", &edwards, "cn:carol"},
      {"a foreign page", d, "Origin: https://evil.example\r\n", &carol, "403"},
      {"its own page", d, "Origin: https://fabro.example\r\n", &carol, "cn:carol"},
  });
}

TEST_F(AuthTable, BothInEitherOrder) {
  const Issued carol = MakeClient("carol", world_->authority);
  const Issued nameless =
      Issue({.common_names = {}, .usage = "clientAuth", .alternative_names = ""}, &world_->authority);
  const Issued stranger = MakeClient("carol", MakeAuthority("authority"));
  const std::string foreign = "Origin: https://evil.example\r\n";
  for (const Door d : {Door::kJwtThenMtls, Door::kMtlsThenJwt}) {
    const bool jwt_first = d == Door::kJwtThenMtls;
    Check({
        {"neither", d, "", nullptr, "401"},
        {"a token", d, TokenOf("alice"), nullptr, "alice"},
        {"a bad token", d, Bearer("x"), nullptr, "401"},
        {"an expired token", d, Times(-600, -90), nullptr, "401"},
        {"a token of another user", d, TokenOf("mallory"), nullptr, "403"},
        {"a certificate", d, "", &carol, "cn:carol"},
        {"a certificate and a bad token", d, Bearer("x"), &carol, "cn:carol"},
        {"a certificate and another user's token", d, TokenOf("mallory"), &carol, "cn:carol"},
        {"both good", d, TokenOf("alice"), &carol, jwt_first ? "alice" : "cn:carol"},
        {"a nameless certificate", d, "", &nameless, "401"},
        {"a nameless certificate and a token", d, TokenOf("alice"), &nameless, "alice"},
        {"a nameless certificate and another user's token", d, TokenOf("mallory"), &nameless, "403"},
        {"a stranger's certificate", d, "", &stranger, "none"},
        {"a stranger's certificate and a good token", d, TokenOf("alice"), &stranger, "none"},
        {"a certificate from a foreign page", d, foreign, &carol, "403"},
        {"a certificate and a token from a foreign page", d, foreign + TokenOf("alice"), &carol, "alice"},
    });
  }
}

TEST_F(AuthTable, NobodyAndTheOpenRoutes) {
  const Issued carol = MakeClient("carol", world_->authority);
  const std::string alice = TokenOf("alice");
  Check({
      {"no strategy, nothing", Door::kNobody, "", nullptr, "401"},
      {"no strategy, a token", Door::kNobody, alice, nullptr, "401"},
      {"no strategy, a certificate", Door::kNobody, "", &carol, "401"},
      {"an open route", Door::kNobody, "", nullptr, "200", nullptr, "GET /openapi.json"},
      {"an unknown path", Door::kJwt, "", nullptr, "404", nullptr, "GET /nowhere"},
      {"an unknown path with a bad token", Door::kJwt, Bearer("x"), nullptr, "404", nullptr, "GET /nowhere"},
      {"a wrong verb", Door::kJwt, "", nullptr, "405", nullptr, "PATCH /user"},
      {"an open route with a bad token", Door::kJwt, Bearer("x"), nullptr, "200", nullptr,
       "GET /openapi.json"},
      {"metrics", Door::kJwt, "", nullptr, "401", nullptr, "GET /metrics"},
      {"a run", Door::kJwt, "", nullptr, "401", nullptr, "GET /runs/x"},
      {"a run's events", Door::kJwt, "", nullptr, "401", nullptr, "GET /runs/x/events"},
      {"something not built", Door::kJwt, "", nullptr, "401", nullptr, "GET /models"},
      {"credentials before syntax", Door::kJwt, "Content-Type: text/plain\r\n", nullptr, "401", nullptr,
       "POST /runs"},
  });
}

TEST_F(AuthTable, WhoIsTakenOffTheListIsRefusedOnTheConnectionThatThereIs) {
  const std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* c) { SSL_CTX_free(c); })> context(
      SSL_CTX_new(TLS_client_method()));
  RawClient client(Port(Door::kJwt), 0, context.get());
  const std::string request = StrCat("GET /user HTTP/1.1\r\nHost: x\r\n", TokenOf("alice"), "\r\n");
  client.Send(request);
  EXPECT_EQ(Outcome(client.ReadAnswer()), "alice");
  config::ServerConfig changed;
  changed.web.allowed_usernames = {"Bob-2"};
  GatewayApp& app = *world_->doors[static_cast<std::size_t>(Door::kJwt)];
  app.Apply(changed);
  client.Send(request);
  EXPECT_EQ(Outcome(client.ReadAnswer()), "403");
  changed.web.allowed_usernames = {"alice", "Bob-2", "\xc3\xa4nne", "cn:carol", "al%69ce"};
  app.Apply(changed);
  client.Send(request);
  EXPECT_EQ(Outcome(client.ReadAnswer()), "alice");
}

TEST_F(AuthTable, ACertificateThatEndsWhileConnectedIsRefused) {
  bool was_let_in = false;
  for (int lifetime = 2; !was_let_in && lifetime < 60;
       lifetime *= 3) {  // longer on a machine that is too busy
    const std::int64_t end = Now() + lifetime;
    const Issued carol =
        Issue({.common_names = {"carol"}, .usage = "clientAuth", .to = end}, &world_->authority);
    const std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* c) { SSL_CTX_free(c); })> context(
        SSL_CTX_new(TLS_client_method()));
    SSL_CTX_use_certificate(context.get(), carol.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), carol.key.get());
    RawClient client(Port(Door::kMtls), 0, context.get());
    std::string outcome;
    do {  // until the wall clock has come to its end
      client.Send("GET /user HTTP/1.1\r\nHost: x\r\n\r\n");
      outcome = Outcome(client.ReadAnswer());
      was_let_in = was_let_in || outcome == "cn:carol";
    } while (outcome == "cn:carol" && Now() < end + 10);
    if (was_let_in) EXPECT_EQ(outcome, "401");
  }
  EXPECT_TRUE(was_let_in);
}

TEST(GatewayAppCheck, SaysWhatIsWrongWithKeysBeforeAnythingStarts) {
  GatewayOptions options;
  EXPECT_TRUE(GatewayApp::Check(options).ok());
  options.strategies = {AuthStrategy::kJwt};
  EXPECT_NE(MessageOf(GatewayApp::Check(options)).find("FABRO_JWT_PUBLIC_KEY is not set"), std::string::npos);
  options.jwt_public_key = PublicPem(MakeKey("ED25519").get());
  EXPECT_TRUE(GatewayApp::Check(options).ok());
  options.tls = http::TlsFiles{"/nowhere/crt", "/nowhere/key", ""};
  EXPECT_NE(MessageOf(GatewayApp::Check(options)).find("/nowhere/crt cannot be read"), std::string::npos);
}

}  // namespace
}  // namespace fabro::gateway
