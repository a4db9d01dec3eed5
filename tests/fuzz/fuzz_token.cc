// Any bytes as a token, signed or not: never a crash, nothing without a signature of the key, and of what is
// signed only names that are one.
#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/auth/strategy.h"
#include "gateway/auth/token.h"
#include "tests/support/tokens.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using fabro::auth::ReadToken;
  using fabro::auth::Token;
  static const fabro::testing::KeyPtr& key = *new fabro::testing::KeyPtr(fabro::testing::MakeKey("ED25519"));
  static const fabro::auth::TokenKey& verifier =
      *new fabro::auth::TokenKey(*fabro::auth::TokenKey::Parse(fabro::testing::PublicPem(key.get())));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (std::holds_alternative<Token>(ReadToken(text, verifier))) std::abort();
  (void)fabro::auth::TokenKey::Parse(text).ok();
  (void)fabro::auth::UserOfSubject(text);
  // The first line as a header, the rest as claims.
  const std::size_t line = text.find('\n');
  const std::string_view header = text.substr(0, line);
  const std::string_view claims = line == std::string_view::npos ? std::string_view() : text.substr(line + 1);
  const auto read = ReadToken(fabro::testing::SignToken(key.get(), claims, header), verifier);
  if (const Token* token = std::get_if<Token>(&read)) {
    if (token->user.empty() || token->user.find_first_of("/?# \n") != std::string::npos) std::abort();
  }
  return 0;
}
