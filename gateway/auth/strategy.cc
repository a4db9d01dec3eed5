#include "gateway/auth/strategy.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/strings.h"
#include "core/security/principal.h"
#include "gateway/auth/allowed_users.h"
#include "gateway/auth/authenticator.h"
#include "gateway/auth/token_cache.h"

namespace fabro::auth {
namespace {

using security::Principal;

Verdict Refused(Refusal refusal, std::string user = "") {
  Verdict verdict;
  verdict.refusal = refusal;
  verdict.user = std::move(user);
  return verdict;
}

Verdict Accepted(Principal::Kind kind, std::string name) {
  Principal principal;
  principal.kind = kind;
  principal.name = std::move(name);
  Verdict verdict;
  verdict.principal = principal.ToString();
  return verdict;
}

// What follows "Bearer " (RFC 6750; the scheme in any case). Nothing: no such header.
std::optional<std::string_view> BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  if (!EqualsIgnoreCase(authorization.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  const std::string_view rest = authorization.substr(kScheme.size());
  if (rest.empty() || rest.front() != ' ') return std::nullopt;
  return rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
}

class Jwt final : public Strategy {
 public:
  Jwt(TokenKey key, const AllowedUsers& users, std::size_t remembered)
      : key_(std::move(key)), users_(users), cache_(remembered) {}

  std::string_view name() const override { return "jwt"; }

  Verdict Check(const Caller& caller, Timestamp now) const override {
    const std::optional<std::string_view> text = BearerToken(caller.authorization);
    if (!text) return Refused(Refusal::kNoCredential);
    if (text->size() > kMaxTokenBytes) return Refused(Refusal::kMalformed);
    const TokenDigest digest = DigestOf(*text);
    std::shared_ptr<const Token> token = cache_.Find(digest);
    if (!token) {
      if (caller.only_known) return Refused(Refusal::kUnseen);
      std::variant<Token, Refusal> read = ReadToken(*text, key_);
      if (const Refusal* refusal = std::get_if<Refusal>(&read)) return Refused(*refusal);
      token = std::make_shared<const Token>(std::get<Token>(std::move(read)));
      if (!CheckTimes(*token, now)) cache_.Put(digest, token);
    }
    if (const std::optional<Refusal> refusal = CheckTimes(*token, now)) {
      if (*refusal == Refusal::kExpired) cache_.Erase(digest);
      return Refused(*refusal, token->user);
    }
    if (!users_.Contains(token->user)) return Refused(Refusal::kNotAllowed, token->user);
    return Accepted(Principal::Kind::kUser, token->user);
  }

 private:
  const TokenKey key_;
  const AllowedUsers& users_;
  mutable TokenCache cache_;
};

class Mtls final : public Strategy {
 public:
  explicit Mtls(std::vector<std::string> allowed_origins) : allowed_origins_(std::move(allowed_origins)) {}

  std::string_view name() const override { return "mtls"; }

  Verdict Check(const Caller& caller, Timestamp now) const override {
    if (caller.certificate == nullptr) return Refused(Refusal::kNoCredential);
    const security::PeerCertificate& certificate = *caller.certificate;
    if (certificate.common_name.empty()) return Refused(Refusal::kNameless);
    if (now >= certificate.expires_at) return Refused(Refusal::kCertificateExpired, certificate.common_name);
    if (!IsOurPage(caller)) return Refused(Refusal::kForeignPage, certificate.common_name);
    return Accepted(Principal::Kind::kCertificate, certificate.common_name);
  }

 private:
  bool IsOurPage(const Caller& caller) const {
    return caller.origin.empty() || IsSameOrigin(caller.origin, caller.host) ||
           std::ranges::find(allowed_origins_, caller.origin) != allowed_origins_.end();
  }

  const std::vector<std::string> allowed_origins_;
};

}  // namespace

std::string_view ToString(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kWords = {
      "no_credential", "malformed",   "algorithm", "signature",           "claims",       "expired",
      "not_yet_valid", "not_allowed", "nameless",  "certificate_expired", "foreign_page", "unseen"};
  return kWords[static_cast<std::size_t>(refusal)];
}

bool IsForbidden(Refusal refusal) {
  return refusal == Refusal::kNotAllowed || refusal == Refusal::kForeignPage;
}

std::unique_ptr<Strategy> MakeJwtStrategy(TokenKey key, const AllowedUsers& users, std::size_t remembered) {
  return std::make_unique<Jwt>(std::move(key), users, remembered);
}

std::unique_ptr<Strategy> MakeMtlsStrategy(std::vector<std::string> allowed_origins) {
  return std::make_unique<Mtls>(std::move(allowed_origins));
}

}  // namespace fabro::auth
