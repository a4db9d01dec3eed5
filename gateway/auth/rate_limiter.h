// How often one principal, or one address whose requests carry no good credential, may ask.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/base/mutex.h"
#include "gateway/auth/lru_map.h"

namespace fabro::auth {

struct RateLimit {
  std::int64_t per_second = 0;  // 0: no limit
  std::int64_t burst = 0;       // that may come at once; 0: as many as per_second
};

// Token buckets by name, at most `capacity` of them: who has not asked for longest is forgotten, and begins
// with a full bucket. Thread-safe.
class Buckets {
 public:
  Buckets(RateLimit limit, std::size_t capacity, const Clock& clock);

  // What is in the buckets stays as time: a bucket that was to be full in a second still is.
  void Set(RateLimit limit);

  // Zero when one more is allowed now, and taken; else how long until it would be.
  std::chrono::nanoseconds Take(std::string_view name);
  bool IsEmpty(std::string_view name) const;

 private:
  // A bucket is the instant at which it will be full again (the generic cell rate algorithm).
  struct Part {
    explicit Part(std::size_t capacity) : full_at(capacity) {}
    mutable Mutex mutex;
    mutable LruMap<std::string, std::int64_t> full_at GUARDED_BY(mutex);  // steady nanoseconds
  };

  std::int64_t Now() const { return clock_.Steady().time_since_epoch() / std::chrono::nanoseconds(1); }
  Part& PartOf(const std::string& name) const {
    return *parts_[std::hash<std::string>()(name) % parts_.size()];
  }

  const Clock& clock_;
  std::atomic<std::int64_t> interval_{0};  // nanoseconds for one to flow back; 0: no limit
  std::atomic<std::int64_t> slack_{0};     // by how much `full_at` may lie ahead for one more to be allowed
  std::vector<std::unique_ptr<Part>> parts_;
};

// Thread-safe.
class RateLimiter {
 public:
  RateLimiter(RateLimit limit, const Clock& clock);

  void Set(RateLimit limit);

  // ResourceExhausted, with when to come again.
  absl::Status TakeFor(std::string_view principal);
  absl::Status TakeForAddress(std::string_view address);
  // Whether TakeForAddress would refuse.
  bool IsSpent(std::string_view address) const;

  void Write(metrics::Text& text) const;

 private:
  Buckets principals_;
  Buckets addresses_;
  metrics::Counter limited_principals_;
  metrics::Counter limited_addresses_;
};

// Who has an IPv6 address mostly has all of its /64, so that is what counts; other addresses as they are.
std::string NetworkOf(std::string_view address);

}  // namespace fabro::auth
