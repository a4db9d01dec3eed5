// Tokens: JSON Web Tokens (RFC 7519) in the one form that is accepted here, signed with Ed25519 (RFC 8037).
// Nothing here looks at a clock or at who is allowed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "core/base/time.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace fabro::auth {

enum class Refusal : std::uint8_t;

inline constexpr std::size_t kMaxTokenBytes = 8 * 1024;
inline constexpr std::int64_t kLeewaySeconds = 60;  // by how much clocks may differ

// The public half of what signs tokens. Cheap to copy.
class TokenKey {
 public:
  // PEM, or the base64 of PEM. FailedPrecondition says what the text is instead, never what it holds.
  static absl::StatusOr<TokenKey> Parse(std::string_view text);

  bool Verifies(std::string_view signature, std::string_view bytes) const;

 private:
  explicit TokenKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;  // OpenSSL counts references likewise, but not in a type
};

// What a token that was verified says. Times are Unix seconds.
struct Token {
  std::string user;  // the last segment of the path of `sub`
  std::int64_t issued_at = 0;
  std::int64_t expires_at = 0;
  std::optional<std::int64_t> not_before;
};

// Everything but the times and who is allowed. Strict: no padding, no spare bits, no duplicate names.
std::variant<Token, Refusal> ReadToken(std::string_view text, const TokenKey& key);

// Nothing when the token counts at this instant, give or take the leeway.
std::optional<Refusal> CheckTimes(const Token& token, Timestamp now);

// The user that a `sub` names; nothing when it is no URL or its path ends with no name.
std::optional<std::string_view> UserOfSubject(std::string_view url);

// RFC 4648 section 5 without padding; nothing for anything else, spare bits that are not zero included.
std::optional<std::string> DecodeBase64Url(std::string_view text);

}  // namespace fabro::auth
