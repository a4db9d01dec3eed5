#include "gateway/auth/token.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/auth/strategy.h"
#include "gateway/json/reader.h"
#include "gateway/json/text.h"

namespace fabro::auth {
namespace {

constexpr char kVariable[] = "FABRO_JWT_PUBLIC_KEY";
constexpr std::size_t kMaxKeyBytes = 16 * 1024;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kMaxUserBytes = 200;
constexpr std::int64_t kLatestSecond = 253'402'300'799;  // the last one of the year 9999
constexpr std::string_view kIssuer = "fabro-web";
// A key that travels with the token proves nothing, and what must be understood (crit) is not.
constexpr std::string_view kRefusedHeaders[] = {"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"};

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

absl::Status Refuse(std::string_view what) {
  return FailedPrecondition(
      Reason::kInvalidArgument, kVariable,
      StrCat(kVariable, " ", what,
             ". Set it to the Ed25519 public key that tokens are signed for, as PEM or as base64 of PEM "
             "(openssl pkey -in PRIVATE.key -pubout)."));
}

std::string WithoutSpace(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') out += c;
  }
  return out;
}

// -1: not of the alphabet.
int SixBits(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  return c == '_' ? 63 : -1;
}

std::optional<std::string_view> TextMember(const json::Node& object, std::string_view key) {
  const std::optional<json::Node> member = object.Find(key);
  if (!member || member->type() != json::Type::kString) return std::nullopt;
  return member->text();
}

// Whole seconds, written as such: 1.5, 1e9 and "1" are none.
std::optional<std::int64_t> SecondsOf(const json::Node& value) {
  if (value.type() != json::Type::kNumber) return std::nullopt;
  const std::optional<long long> seconds = ParseInt(value.text());
  if (!seconds || *seconds < 0 || *seconds > kLatestSecond) return std::nullopt;
  return *seconds;
}

std::optional<std::int64_t> SecondsMember(const json::Node& object, std::string_view key) {
  const std::optional<json::Node> member = object.Find(key);
  return member ? SecondsOf(*member) : std::nullopt;
}

std::optional<Refusal> CheckHeader(const json::Node& header) {
  if (header.type() != json::Type::kObject) return Refusal::kMalformed;
  if (TextMember(header, "alg") != "EdDSA") return Refusal::kAlgorithm;
  const bool refused = std::ranges::any_of(
      kRefusedHeaders, [&header](std::string_view name) { return header.Find(name).has_value(); });
  return refused ? std::optional(Refusal::kAlgorithm) : std::nullopt;
}

std::variant<Token, Refusal> ReadClaims(const json::Node& claims) {
  if (claims.type() != json::Type::kObject) return Refusal::kMalformed;
  const std::optional<std::int64_t> issued_at = SecondsMember(claims, "iat");
  const std::optional<std::int64_t> expires_at = SecondsMember(claims, "exp");
  const std::optional<json::Node> not_before = claims.Find("nbf");
  const std::optional<std::string_view> subject = TextMember(claims, "sub");
  if (TextMember(claims, "iss") != kIssuer || !issued_at || !expires_at || !subject) return Refusal::kClaims;
  Token token;
  if (not_before) {
    token.not_before = SecondsOf(*not_before);
    if (!token.not_before) return Refusal::kClaims;
  }
  const std::optional<std::string_view> user = UserOfSubject(*subject);
  if (!user) return Refusal::kClaims;
  token.user = *user;
  token.issued_at = *issued_at;
  token.expires_at = *expires_at;
  return token;
}

}  // namespace

absl::StatusOr<TokenKey> TokenKey::Parse(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kPublic = "-----BEGIN PUBLIC KEY-----";
  if (Trim(text).empty()) return Refuse("is not set, and api.authentication_strategies has \"jwt\"");
  if (text.size() > kMaxKeyBytes) return Refuse("is too long for a key");
  std::string pem(text);
  if (pem.find(kBegin) == std::string::npos) {
    std::optional<std::string> decoded = json::ParseBase64(WithoutSpace(text));
    if (!decoded || decoded->find(kBegin) == std::string::npos) {
      return Refuse("is neither PEM nor base64 of PEM");
    }
    pem = *std::move(decoded);
  }
  const std::size_t begin = pem.find(kBegin);
  if (pem.find("PRIVATE KEY-----") != std::string::npos) {
    return Refuse("is a private key, which belongs where tokens are signed, and nowhere else");
  }
  if (!std::string_view(pem).substr(begin).starts_with(kPublic)) {
    return Refuse("is PEM, but no BEGIN PUBLIC KEY");
  }
  if (pem.find(kBegin, begin + 1) != std::string::npos) return Refuse("holds more than one key");
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::shared_ptr<evp_pkey_st> key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  ERR_clear_error();
  if (!key) return Refuse("is a public key that is damaged");
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    const char* const kind = EVP_PKEY_get0_type_name(key.get());
    return Refuse(StrCat("is of the kind ", kind != nullptr ? kind : "unknown", ", not Ed25519"));
  }
  return TokenKey(std::move(key));
}

bool TokenKey::Verifies(std::string_view signature, std::string_view bytes) const {
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto* mark = reinterpret_cast<const unsigned char*>(signature.data());
  const bool good = signature.size() == kSignatureBytes && context &&
                    EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
                    EVP_DigestVerify(context.get(), mark, signature.size(), data, bytes.size()) == 1;
  ERR_clear_error();
  return good;
}

std::variant<Token, Refusal> ReadToken(std::string_view text, const TokenKey& key) {
  if (text.size() > kMaxTokenBytes) return Refusal::kMalformed;
  const std::vector<std::string_view> parts = Split(text, '.');
  if (parts.size() != 3) return Refusal::kMalformed;
  const std::optional<std::string> header_text = DecodeBase64Url(parts[0]);
  const std::optional<std::string> claims_text = DecodeBase64Url(parts[1]);
  const std::optional<std::string> signature = DecodeBase64Url(parts[2]);
  if (!header_text || !claims_text || !signature) return Refusal::kMalformed;
  const absl::StatusOr<json::Document> header = json::Document::Parse(*header_text);
  if (!header.ok()) return Refusal::kMalformed;
  if (const std::optional<Refusal> refusal = CheckHeader(header->root())) return *refusal;
  if (!key.Verifies(*signature, text.substr(0, parts[0].size() + 1 + parts[1].size()))) {
    return Refusal::kSignature;
  }
  const absl::StatusOr<json::Document> claims = json::Document::Parse(*claims_text);
  if (!claims.ok()) return Refusal::kMalformed;
  return ReadClaims(claims->root());
}

std::optional<Refusal> CheckTimes(const Token& token, Timestamp now) {
  const std::int64_t leeway = kLeewaySeconds * 1000;
  if (now.unix_ms - token.expires_at * 1000 > leeway) return Refusal::kExpired;
  const std::int64_t begins = std::max(token.issued_at, token.not_before.value_or(0));
  if (begins * 1000 - now.unix_ms > leeway) return Refusal::kNotYetValid;
  return std::nullopt;
}

std::optional<std::string_view> UserOfSubject(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos || scheme == 0) return std::nullopt;
  const bool is_scheme = std::ranges::all_of(url.substr(0, scheme), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
  });
  if (!is_scheme) return std::nullopt;
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t path = url.find('/', scheme + 3);
  if (path == std::string_view::npos || path == scheme + 3) return std::nullopt;
  const std::string_view name = url.substr(url.rfind('/') + 1);
  const bool plain =
      std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
  if (name.empty() || name.size() > kMaxUserBytes || !plain) return std::nullopt;
  return name;
}

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t held = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = SixBits(c);
    if (value < 0) return std::nullopt;
    held = (held << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>((held >> bits) & 0xff);
    held &= (1u << bits) - 1;
  }
  if (held != 0) return std::nullopt;
  return bytes;
}

}  // namespace fabro::auth
