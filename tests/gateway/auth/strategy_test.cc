#include "gateway/auth/strategy.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/strings.h"
#include "gateway/auth/allowed_users.h"
#include "gateway/auth/auth_metrics.h"
#include "gateway/auth/authenticator.h"
#include "gateway/auth/token_cache.h"
#include "tests/support/manual_time.h"
#include "tests/support/tokens.h"

namespace fabro::auth {
namespace {

using namespace std::chrono_literals;
using namespace fabro::testing;

class StrategyTest : public ::testing::Test {
 protected:
  std::int64_t Now() const { return time_.Now().unix_ms / 1000; }
  std::string TokenOf(std::string_view user, std::int64_t lifetime = 3600) {
    return SignToken(private_.get(), ClaimsFor(user, Now(), Now() + lifetime));
  }
  std::unique_ptr<Strategy> NewJwt(std::size_t remembered = 100) {
    return MakeJwtStrategy(*TokenKey::Parse(PublicPem(private_.get())), users_, remembered);
  }
  std::unique_ptr<Strategy> NewMtls() { return MakeMtlsStrategy({"https://console.example"}); }
  void Use(std::unique_ptr<Strategy> first, std::unique_ptr<Strategy> second = nullptr) {
    std::vector<std::unique_ptr<Strategy>> all;
    if (first) all.push_back(std::move(first));
    if (second) all.push_back(std::move(second));
    authenticator_ = MakeAuthenticator(std::move(all), time_, metrics_);
  }
  // The principal, or "401", "403", "429".
  std::string Ask(const Caller& caller) {
    const absl::StatusOr<std::string> principal = authenticator_->Authenticate(caller);
    if (principal.ok()) return *principal;
    if (absl::IsUnauthenticated(principal.status())) return "401";
    if (absl::IsPermissionDenied(principal.status())) return "403";
    return absl::IsResourceExhausted(principal.status()) ? "429" : "?";
  }
  std::string Bearer(const std::string& token) {
    authorization_ = StrCat("Bearer ", token);
    Caller caller;
    caller.authorization = authorization_;
    return Ask(caller);
  }
  std::string Metrics() {
    metrics::Text text;
    metrics_.Write(text);
    return text.Take();
  }

  ManualTime time_;
  const KeyPtr private_ = MakeKey("ED25519");
  AllowedUsers users_{{"alice", "cn:bob"}};
  AuthMetrics metrics_;
  std::unique_ptr<Authenticator> authenticator_;
  std::string authorization_;
};

TEST_F(StrategyTest, ATokensUserMustBeAllowedExactly) {
  Use(NewJwt());
  EXPECT_EQ(Bearer(TokenOf("alice")), "alice");
  EXPECT_EQ(Bearer(TokenOf("Alice")), "403");
  EXPECT_EQ(Bearer(TokenOf("alice2")), "403");
  EXPECT_EQ(Bearer(TokenOf("cn:bob")), "user:cn:bob");  // not to be taken for a certificate's holder
  users_.Set({});
  EXPECT_EQ(Bearer(TokenOf("alice")), "403");
}

TEST_F(StrategyTest, TheSchemeIsBearerInAnyCase) {
  Use(NewJwt());
  const std::string token = TokenOf("alice");
  const struct {
    std::string authorization;
    const char* outcome;
  } kCases[] = {
      {"Bearer " + token, "alice"},
      {"bearer " + token, "alice"},
      {"BEARER   " + token, "alice"},
      {"", "401"},
      {"Bearer", "401"},
      {"Bearer ", "401"},
      {"Bearer" + token, "401"},
      {"Bearer\t" + token, "401"},
      {"Bearer " + token + " ", "401"},
      {"Basic " + token, "401"},
      {token, "401"},
      {"Bearer \"" + token + "\"", "401"},
      {"Token " + token, "401"},
      {"Bearer " + token + ",x", "401"},
      {"Bearer Bearer " + token, "401"},
  };
  for (const auto& c : kCases) {
    Caller caller;
    caller.authorization = c.authorization;
    EXPECT_EQ(Ask(caller), c.outcome) << c.authorization;
  }
}

TEST_F(StrategyTest, ARememberedTokenIsJudgedAnewEachTime) {
  Use(NewJwt());
  const std::string token = TokenOf("alice", 100);
  EXPECT_EQ(Bearer(token), "alice");
  EXPECT_EQ(Bearer(token), "alice");
  users_.Set({"bob"});
  EXPECT_EQ(Bearer(token), "403");
  users_.Set({"alice"});
  EXPECT_EQ(Bearer(token), "alice");
  time_.Advance(160s);
  EXPECT_EQ(Bearer(token), "alice");
  time_.Advance(1ms);
  EXPECT_EQ(Bearer(token), "401");
  EXPECT_NE(Metrics().find("fabro_auth_refused_total{reason=\"expired\"} 1\n"), std::string::npos);
}

TEST_F(StrategyTest, FromASpentAddressOnlyRememberedTokensAreTaken) {
  Use(NewJwt());
  const std::string token = TokenOf("alice");
  EXPECT_EQ(Bearer(token), "alice");
  Caller caller;
  caller.only_known = true;
  const std::string known = "Bearer " + token;
  const std::string fresh = "Bearer " + TokenOf("alice", 7);
  caller.authorization = known;
  EXPECT_EQ(Ask(caller), "alice");
  caller.authorization = fresh;
  EXPECT_EQ(Ask(caller), "429");
  caller.authorization = {};
  EXPECT_EQ(Ask(caller), "401");
}

TEST_F(StrategyTest, RefusedTokensAreNotRemembered) {
  Use(NewJwt());
  EXPECT_EQ(Bearer(SignToken(private_.get(), ClaimsFor("alice", Now() + 61, Now() + 100))), "401");
  time_.Advance(1s);
  EXPECT_EQ(Bearer(SignToken(private_.get(), ClaimsFor("alice", Now() + 60, Now() + 100))), "alice");
}

TEST_F(StrategyTest, ACertificateIsItsCommonName) {
  Use(NewMtls());
  security::PeerCertificate certificate{"builder", time_.Now() + 10s};
  Caller caller;
  EXPECT_EQ(Ask(caller), "401");
  caller.certificate = &certificate;
  EXPECT_EQ(Ask(caller), "cn:builder");  // web.auth.allowed_usernames does not apply
  time_.Advance(9'999ms);
  EXPECT_EQ(Ask(caller), "cn:builder");
  time_.Advance(1ms);
  EXPECT_EQ(Ask(caller), "401");
  certificate = {"", time_.Now() + 10s};
  EXPECT_EQ(Ask(caller), "401");
}

TEST_F(StrategyTest, ACertificateDoesNotVouchForForeignPages) {
  Use(NewMtls());
  const security::PeerCertificate certificate{"builder", time_.Now() + 10s};
  Caller caller;
  caller.certificate = &certificate;
  caller.host = "fabro.example:3000";
  for (const char* ours : {"https://fabro.example:3000", "https://console.example"}) {
    caller.origin = ours;
    EXPECT_EQ(Ask(caller), "cn:builder") << ours;
  }
  for (const char* foreign : {"https://evil.example", "null", "https://fabro.example"}) {
    caller.origin = foreign;
    EXPECT_EQ(Ask(caller), "403") << foreign;
  }
}

TEST_F(StrategyTest, SeveralAreTriedInTheirOrder) {
  const std::string alice = "Bearer " + TokenOf("alice");
  const std::string mallory = "Bearer " + TokenOf("mallory");
  const security::PeerCertificate builder{"builder", time_.Now() + 10s};
  const security::PeerCertificate nameless{"", time_.Now() + 10s};
  const struct {
    std::string authorization;
    const security::PeerCertificate* certificate;
    const char* jwt_first;
    const char* mtls_first;
  } kCases[] = {
      {"", nullptr, "401", "401"},
      {alice, nullptr, "alice", "alice"},
      {mallory, nullptr, "403", "403"},
      {"Bearer x", nullptr, "401", "401"},
      {"", &builder, "cn:builder", "cn:builder"},
      {alice, &builder, "alice", "cn:builder"},
      {mallory, &builder, "cn:builder", "cn:builder"},
      {"Bearer x", &builder, "cn:builder", "cn:builder"},
      {"", &nameless, "401", "401"},
      {alice, &nameless, "alice", "alice"},
      {mallory, &nameless, "403", "403"},
      {"Bearer x", &nameless, "401", "401"},
  };
  for (const bool jwt_first : {true, false}) {
    if (jwt_first) {
      Use(NewJwt(), NewMtls());
    } else {
      Use(NewMtls(), NewJwt());
    }
    for (const auto& c : kCases) {
      Caller caller;
      caller.authorization = c.authorization;
      caller.certificate = c.certificate;
      EXPECT_EQ(Ask(caller), jwt_first ? c.jwt_first : c.mtls_first)
          << c.authorization << (c.certificate != nullptr ? " with a certificate" : "");
    }
  }
}

TEST_F(StrategyTest, NoStrategyLetsNobodyIn) {
  Use(nullptr);
  EXPECT_EQ(Bearer(TokenOf("alice")), "401");
}

TEST_F(StrategyTest, TellsClientsNoReason) {
  Use(NewJwt());
  Caller caller;
  caller.authorization = "Bearer nonsense";
  EXPECT_EQ(MessageOf(authenticator_->Authenticate(caller).status()), "Authentication required.");
  const std::string mallory = "Bearer " + TokenOf("mallory");
  caller.authorization = mallory;
  EXPECT_EQ(MessageOf(authenticator_->Authenticate(caller).status()), "Access denied.");
  EXPECT_NE(Metrics().find("{reason=\"malformed\"} 1\n"), std::string::npos);
  EXPECT_NE(Metrics().find("{reason=\"not_allowed\"} 1\n"), std::string::npos);
}

TEST(TokenCache, HasABound) {
  TokenCache cache(64);
  const auto token = std::make_shared<const Token>();
  for (int i = 0; i < 1000; ++i) cache.Put(DigestOf(std::to_string(i)), token);
  EXPECT_LE(cache.size(), 64u);
  EXPECT_NE(cache.Find(DigestOf("999")), nullptr);
  cache.Erase(DigestOf("999"));
  EXPECT_EQ(cache.Find(DigestOf("999")), nullptr);
}

}  // namespace
}  // namespace fabro::auth
