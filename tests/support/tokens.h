// Tokens for tests, good ones and bad ones.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "tests/support/pki.h"

namespace fabro::testing {

inline std::string Base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

inline std::string Base64Url(std::string_view bytes) {
  std::string text = ReplaceAll(ReplaceAll(Base64(bytes), "+", "-"), "/", "_");
  while (text.ends_with('=')) text.pop_back();
  return text;
}

inline std::string SignatureOf(EVP_PKEY* key, std::string_view bytes) {
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  const int type = EVP_PKEY_get_base_id(key);
  const bool hashes = type != EVP_PKEY_ED25519 && type != EVP_PKEY_ED448;
  FABRO_CHECK(EVP_DigestSignInit(context, nullptr, hashes ? EVP_sha256() : nullptr, nullptr, key) == 1);
  std::string signature(1024, '\0');
  std::size_t size = signature.size();
  FABRO_CHECK(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                             reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1);
  EVP_MD_CTX_free(context);
  signature.resize(size);
  return signature;
}

inline std::string HmacOf(std::string_view key, std::string_view bytes) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  FABRO_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                   reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), mac,
                   &size) != nullptr);
  return std::string(reinterpret_cast<char*>(mac), size);
}

inline std::string Unsigned(std::string_view header, std::string_view claims) {
  return Base64Url(header) + "." + Base64Url(claims);
}

inline constexpr std::string_view kTokenHeader = R"({"alg":"EdDSA","typ":"JWT"})";

inline std::string SignToken(EVP_PKEY* key, std::string_view claims, std::string_view header = kTokenHeader) {
  const std::string text = Unsigned(header, claims);
  return text + "." + Base64Url(SignatureOf(key, text));
}

inline std::string ClaimsFor(std::string_view user, std::int64_t issued_at, std::int64_t expires_at) {
  return StrCat(R"({"iss":"fabro-web","sub":"https://github.com/)", user, R"(","iat":)", issued_at,
                R"(,"exp":)", expires_at, "}");
}

}  // namespace fabro::testing
