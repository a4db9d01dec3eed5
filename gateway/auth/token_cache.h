// Tokens whose signature was verified, so that the next request with one costs a hash instead.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "gateway/auth/lru_map.h"
#include "gateway/auth/token.h"

namespace fabro::auth {

// SHA-256 of the token: the token itself is kept nowhere.
using TokenDigest = std::array<std::uint8_t, 32>;
TokenDigest DigestOf(std::string_view token);

// Thread-safe. Of fixed size: beyond it whoever came least recently is verified again. In parts with a lock
// each, which is held for the time of a look-up only.
class TokenCache {
 public:
  explicit TokenCache(std::size_t capacity);

  std::shared_ptr<const Token> Find(const TokenDigest& digest) const;  // null: not there
  void Put(const TokenDigest& digest, std::shared_ptr<const Token> token);
  void Erase(const TokenDigest& digest);
  std::size_t size() const;

 private:
  struct FirstBytes {  // of a hash are as good as any
    std::size_t operator()(const TokenDigest& digest) const {
      std::size_t value = 0;
      std::memcpy(&value, digest.data(), sizeof value);
      return value;
    }
  };
  struct Part {
    explicit Part(std::size_t capacity) : tokens(capacity) {}
    mutable Mutex mutex;
    mutable LruMap<TokenDigest, std::shared_ptr<const Token>, FirstBytes> tokens GUARDED_BY(mutex);
  };

  Part& PartOf(const TokenDigest& digest) const { return *parts_[digest.back() % parts_.size()]; }

  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace fabro::auth
