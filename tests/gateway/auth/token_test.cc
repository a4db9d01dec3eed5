#include "gateway/auth/token.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/error.h"
#include "gateway/auth/strategy.h"
#include "tests/support/tokens.h"

namespace fabro::auth {
namespace {

using namespace fabro::testing;

constexpr std::int64_t kNow = 1'800'000'000;

class ReadTokenTest : public ::testing::Test {
 protected:
  std::variant<Token, Refusal> Read(std::string_view text) { return ReadToken(text, *key_); }
  // The word for why it is refused; "ok" when it is not.
  std::string Outcome(std::string_view text) {
    const std::variant<Token, Refusal> read = Read(text);
    if (const Refusal* refusal = std::get_if<Refusal>(&read)) return std::string(ToString(*refusal));
    return "ok";
  }
  std::string Signed(std::string_view claims, std::string_view header = kTokenHeader) {
    return SignToken(private_.get(), claims, header);
  }

  const KeyPtr private_ = MakeKey("ED25519");
  const absl::StatusOr<TokenKey> key_ = TokenKey::Parse(PublicPem(private_.get()));
  const std::string claims_ = ClaimsFor("alice", kNow, kNow + 60);
};

TEST_F(ReadTokenTest, ReadsWhatATokenSays) {
  const auto read = Read(Signed(
      R"({"iss":"fabro-web","sub":"https://github.com/alice?a=b#c/d","iat":5,"exp":7,"nbf":6,"more":[{}]})"));
  const Token& token = std::get<Token>(read);
  EXPECT_EQ(token.user, "alice");
  EXPECT_EQ(token.issued_at, 5);
  EXPECT_EQ(token.expires_at, 7);
  EXPECT_EQ(token.not_before, 6);
}

TEST_F(ReadTokenTest, TakesOneAlgorithmAndNoKeyFromTheHeader) {
  for (const char* good : {R"({"alg":"EdDSA"})", R"({"kid":"7","alg":"EdDSA","typ":"at+jwt"})",
                           R"({"alg":"EdDSA","x5t":"thumb"})"}) {
    EXPECT_EQ(Outcome(Signed(claims_, good)), "ok") << good;
  }
  for (const char* bad :
       {R"({})", R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"eddsa"})", R"({"alg":"Ed25519"})",
        R"({"alg":"HS256"})", R"({"alg":"RS256"})", R"({"alg":"ES256"})", R"({"alg":["EdDSA"]})",
        R"({"alg":null})", R"({"alg":"EdDSA","jwk":{}})", R"({"alg":"EdDSA","jku":"https://evil"})",
        R"({"alg":"EdDSA","x5u":"https://evil"})", R"({"alg":"EdDSA","x5c":[]})",
        R"({"alg":"EdDSA","crit":["exp"]})", R"({"alg":"EdDSA","b64":false})",
        R"({"alg":"EdDSA","zip":"DEF"})"}) {
    EXPECT_EQ(Outcome(Signed(claims_, bad)), "algorithm") << bad;
  }
  for (const char* bad : {"", "[]", "\"EdDSA\"", "{",
                          R"({"alg":"EdDSA"} )"
                          "x",
                          R"({"alg":"none","alg":"EdDSA"})", R"({"alg":"EdDSA","\u0061lg":"none"})"}) {
    EXPECT_EQ(Outcome(Signed(claims_, bad)), "malformed") << bad;
  }
}

TEST_F(ReadTokenTest, IsNotFooledAboutTheKindOfSignature) {
  const std::string good = Signed(claims_);
  const std::string body = good.substr(0, good.rfind('.'));
  EXPECT_EQ(Outcome(body + "."), "signature");
  EXPECT_EQ(Outcome(Unsigned(R"({"alg":"none"})", claims_) + "."), "algorithm");
  const std::string hmac_body = Unsigned(R"({"alg":"HS256"})", claims_);
  const std::string pem = PublicPem(private_.get());
  EXPECT_EQ(Outcome(hmac_body + "." + Base64Url(HmacOf(pem, hmac_body))), "algorithm");
  EXPECT_EQ(Outcome(body + "." + Base64Url(HmacOf(pem, body))), "signature");
  for (const char* kind : {"RSA", "EC", "ED448", "ED25519"}) {
    const KeyPtr other = MakeKey(kind);
    EXPECT_EQ(Outcome(SignToken(other.get(), claims_)), "signature") << kind;
  }
}

TEST_F(ReadTokenTest, NoticesEveryChangedByte) {
  const std::string good = Signed(claims_);
  ASSERT_EQ(Outcome(good), "ok");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_NE(Outcome(bad), "ok") << i;
    bad = good.substr(0, i);
    EXPECT_NE(Outcome(bad), "ok") << i;
  }
}

TEST_F(ReadTokenTest, TakesOneSpellingOnly) {
  const std::string good = Signed(claims_);
  for (const std::string& bad : std::vector<std::string>{
           "", ".", "..", "...", good + "=", good + ".", "." + good, good + ".x", good + " ", " " + good,
           good + "\n", ReplaceAll(good, ".", ".."), "a" + good, good.substr(0, good.find('.')),
           std::string(kMaxTokenBytes + 1, 'a'), std::string(100'000, '.')}) {
    EXPECT_NE(Outcome(bad), "ok") << bad.substr(0, 50);
  }
  // The last character of 64 bytes holds two bits; the four others must be zero.
  std::string spare = good;
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  spare.back() = kAlphabet[kAlphabet.find(spare.back()) + 1];
  EXPECT_EQ(Outcome(spare), "malformed");
}

TEST_F(ReadTokenTest, WantsEveryClaimInItsForm) {
  const struct {
    const char* claims;
    const char* outcome;
  } kCases[] = {
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2})", "ok"},
      {R"({"sub":"x://h/a","iat":1,"exp":2})", "claims"},
      {R"({"iss":"fabro","sub":"x://h/a","iat":1,"exp":2})", "claims"},
      {R"({"iss":"Fabro-Web","sub":"x://h/a","iat":1,"exp":2})", "claims"},
      {R"({"iss":["fabro-web"],"sub":"x://h/a","iat":1,"exp":2})", "claims"},
      {R"({"iss":"fabro-web","iat":1,"exp":2})", "claims"},
      {R"({"iss":"fabro-web","sub":7,"iat":1,"exp":2})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","exp":2})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":"1","exp":2})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":"2"})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2.5})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2e9})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":null})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":true})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":-1,"exp":2})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":99999999999999999999})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":9223372036854775807})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2,"nbf":"1"})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2,"nbf":null})", "claims"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2,"exp":9})", "malformed"},
      {R"({"iss":"fabro-web","sub":"x://h/a","iat":1,"exp":2},)", "malformed"},
      {R"([1])", "malformed"},
      {"", "malformed"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Outcome(Signed(c.claims)), c.outcome) << c.claims;
  EXPECT_EQ(Outcome(Signed(std::string(3000, '['))), "malformed");
  EXPECT_EQ(Outcome(Signed("{\"iss\":\"\xff\"}")), "malformed");
}

TEST(UserOfSubject, IsTheLastSegmentOfAUrlsPath) {
  const struct {
    const char* url;
    const char* user;  // null: none
  } kCases[] = {
      {"https://github.com/alice", "alice"},
      {"https://github.com/users/Alice", "Alice"},
      {"http://h:80/a/b/al%20ice", "al%20ice"},
      {"https://h/alice?next=/mallory", "alice"},
      {"https://h/alice#/mallory", "alice"},
      {"https://h/alice?", "alice"},
      {"git+ssh://h/a-b_c.d@e", "a-b_c.d@e"},
      {"https://h/..", ".."},
      {"https://h/\xc3\xa4", "\xc3\xa4"},
      {"", nullptr},
      {"alice", nullptr},
      {"/alice", nullptr},
      {"//h/alice", nullptr},
      {"mailto:alice", nullptr},
      {"https:/alice", nullptr},
      {"://h/alice", nullptr},
      {"ht tp://h/alice", nullptr},
      {"https://", nullptr},
      {"https://alice", nullptr},
      {"https:///alice", nullptr},
      {"https://h/", nullptr},
      {"https://h/alice/", nullptr},
      {"https://h/alice/?x", nullptr},
      {"https://h?/alice", nullptr},
      {"https://h/al ice", nullptr},
      {"https://h/al\tice", nullptr},
  };
  for (const auto& c : kCases) {
    const std::optional<std::string_view> user = UserOfSubject(c.url);
    EXPECT_EQ(user.value_or("(none)"), c.user != nullptr ? c.user : "(none)") << c.url;
  }
  EXPECT_EQ(UserOfSubject("x://h/" + std::string(201, 'a')), std::nullopt);
}

TEST(CheckTimes, ForgivesAMinuteToTheMillisecond) {
  const std::int64_t now_ms = kNow * 1000;
  const struct {
    std::int64_t issued_at, expires_at, not_before;  // relative to now, in seconds
    std::int64_t after_ms;
    const char* outcome;
  } kCases[] = {
      {0, 0, 0, 0, "ok"},
      {-10, -60, -10, 0, "ok"},
      {-10, -60, -10, 1, "expired"},
      {-10, -61, -10, 0, "expired"},
      {60, 100, 0, 0, "ok"},
      {61, 100, 0, 0, "not_yet_valid"},
      {61, 100, 0, 999, "not_yet_valid"},
      {61, 100, 0, 1000, "ok"},
      {0, 100, 60, 0, "ok"},
      {0, 100, 61, 0, "not_yet_valid"},
      {-100'000'000, 1, -100'000'000, 0, "ok"},
      {0, 100'000'000, 0, 0, "ok"},
      {100, -100, 0, 0, "expired"},
  };
  for (const auto& c : kCases) {
    const Token token{"alice", kNow + c.issued_at, kNow + c.expires_at, kNow + c.not_before};
    const std::optional<Refusal> refusal = CheckTimes(token, Timestamp{now_ms + c.after_ms});
    EXPECT_EQ(refusal ? ToString(*refusal) : "ok", c.outcome)
        << c.issued_at << ' ' << c.expires_at << ' ' << c.not_before << ' ' << c.after_ms;
  }
  EXPECT_EQ(CheckTimes(Token{"a", 0, 253'402'300'799, {}}, Timestamp{now_ms}), std::nullopt);
}

TEST(TokenKey, IsReadAsPemAndAsBase64OfPem) {
  const KeyPtr key = MakeKey("ED25519");
  const std::string pem = PublicPem(key.get());
  std::string wrapped = Base64(pem);
  wrapped.insert(40, "\n");
  for (const std::string& text : {pem, "\n" + pem + "\n", Base64(pem), wrapped + "\n"}) {
    const absl::StatusOr<TokenKey> parsed = TokenKey::Parse(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_TRUE(parsed->Verifies(SignatureOf(key.get(), "x"), "x"));
    EXPECT_FALSE(parsed->Verifies(SignatureOf(key.get(), "x"), "y"));
  }
}

TEST(TokenKey, SaysWhatIsWrongWithAnythingElse) {
  const KeyPtr key = MakeKey("ED25519");
  const std::string pem = PublicPem(key.get());
  const struct {
    std::string text;
    const char* says;
  } kCases[] = {
      {"", "is not set"},
      {" \n", "is not set"},
      {"hunter2", "neither PEM nor base64"},
      {Base64("hunter2"), "neither PEM nor base64"},
      {PrivatePem(key.get()), "private key"},
      {Base64(PrivatePem(key.get())), "private key"},
      {PublicPem(MakeKey("RSA").get()), "RSA, not Ed25519"},
      {PublicPem(MakeKey("EC").get()), "EC, not Ed25519"},
      {PublicPem(MakeKey("ED448").get()), "ED448, not Ed25519"},
      {MakeAuthority("ca").cert_pem(), "no BEGIN PUBLIC KEY"},
      {pem + pem, "more than one"},
      {pem.substr(0, 40) + "!!" + pem.substr(42), "damaged"},
      {std::string(20'000, 'a'), "too long"},
  };
  for (const auto& c : kCases) {
    const absl::StatusOr<TokenKey> parsed = TokenKey::Parse(c.text);
    ASSERT_FALSE(parsed.ok()) << c.says;
    const std::string message = MessageOf(parsed.status());
    EXPECT_NE(message.find(c.says), std::string::npos) << message;
    EXPECT_NE(message.find("FABRO_JWT_PUBLIC_KEY"), std::string::npos);
    EXPECT_EQ(message.find("hunter2"), std::string::npos);
  }
}

}  // namespace
}  // namespace fabro::auth
