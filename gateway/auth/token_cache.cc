#include "gateway/auth/token_cache.h"

#include <openssl/sha.h>

#include <algorithm>

namespace fabro::auth {
namespace {
constexpr std::size_t kParts = 16;
}

TokenDigest DigestOf(std::string_view token) {
  TokenDigest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

TokenCache::TokenCache(std::size_t capacity) {
  for (std::size_t i = 0; i < kParts; ++i) {
    parts_.push_back(std::make_unique<Part>(std::max<std::size_t>(1, capacity / kParts)));
  }
}

std::shared_ptr<const Token> TokenCache::Find(const TokenDigest& digest) const {
  Part& part = PartOf(digest);
  MutexLock lock(&part.mutex);
  const std::shared_ptr<const Token>* found = part.tokens.Find(digest);
  return found != nullptr ? *found : nullptr;
}

void TokenCache::Put(const TokenDigest& digest, std::shared_ptr<const Token> token) {
  Part& part = PartOf(digest);
  MutexLock lock(&part.mutex);
  part.tokens.FindOrAdd(digest, std::move(token));
}

void TokenCache::Erase(const TokenDigest& digest) {
  Part& part = PartOf(digest);
  MutexLock lock(&part.mutex);
  part.tokens.Erase(digest);
}

std::size_t TokenCache::size() const {
  std::size_t all = 0;
  for (const auto& part : parts_) {
    MutexLock lock(&part->mutex);
    all += part->tokens.size();
  }
  return all;
}

}  // namespace fabro::auth
