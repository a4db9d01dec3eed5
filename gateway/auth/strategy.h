// One way to tell who asks. Strategies are put in order by MakeAuthenticator().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "gateway/auth/token.h"

namespace fabro::auth {

class AllowedUsers;
struct Caller;

// Why nobody was let in; the words are labels of a metric.
enum class Refusal : std::uint8_t {
  kNoCredential,        // nothing that the strategy looks at
  kMalformed,           // not a token: its parts, its base64url, its JSON
  kAlgorithm,           // not EdDSA, or a header that brings a key or wants what we do not do
  kSignature,           // not by our key
  kClaims,              // iss, iat, exp, nbf or sub missing or not as they must be
  kExpired,             // a token's exp has passed
  kNotYetValid,         // its iat or nbf lies in the future
  kNotAllowed,          // the user is not in web.auth.allowed_usernames
  kNameless,            // the certificate has no common name that would do
  kCertificateExpired,  // since the handshake
  kForeignPage,         // a browser sends its certificate along for whichever page asks
  kUnseen,              // Caller::only_known
};
inline constexpr std::size_t kRefusals = 12;
std::string_view ToString(Refusal refusal);  // "no_credential"

// PermissionDenied rather than Unauthenticated: known and refused.
bool IsForbidden(Refusal refusal);

struct Verdict {
  std::string principal;                     // when nothing refuses
  Refusal refusal = Refusal::kNoCredential;  // when `principal` is empty
  std::string user;                          // who was refused, when that is known
};

// Thread-safe.
class Strategy {
 public:
  virtual ~Strategy() = default;
  virtual std::string_view name() const = 0;  // "jwt"
  virtual Verdict Check(const Caller& caller, Timestamp now) const = 0;
};

// `Authorization: Bearer` with a token that `key` has signed for one of `users`. Tokens that were verified
// are remembered, at most `remembered` of them; times and users are looked at anew for each request. The
// users outlive it.
std::unique_ptr<Strategy> MakeJwtStrategy(TokenKey key, const AllowedUsers& users,
                                          std::size_t remembered = 8192);

// The certificate that the client has shown in the handshake, where the listener has verified it. A page of
// another origin than the server's own or `allowed_origins` is refused.
std::unique_ptr<Strategy> MakeMtlsStrategy(std::vector<std::string> allowed_origins);

}  // namespace fabro::auth
