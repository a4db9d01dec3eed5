#include "gateway/auth/rate_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::auth {
namespace {

constexpr std::size_t kParts = 16;
constexpr std::size_t kMaxPrincipals = 64 * 1024;
constexpr std::size_t kMaxAddresses = 64 * 1024;

absl::Status Limited(std::chrono::nanoseconds wait) {
  ErrorDetail detail;
  detail.reason = Reason::kLimit;
  detail.retry_after = std::chrono::ceil<std::chrono::milliseconds>(wait);
  return Error(absl::StatusCode::kResourceExhausted, detail,
               "Too many requests; limits.requests_per_second allows no more.");
}

}  // namespace

Buckets::Buckets(RateLimit limit, std::size_t capacity, const Clock& clock) : clock_(clock) {
  Set(limit);
  for (std::size_t i = 0; i < kParts; ++i) {
    parts_.push_back(std::make_unique<Part>(std::max<std::size_t>(1, capacity / kParts)));
  }
}

void Buckets::Set(RateLimit limit) {
  const std::int64_t interval = limit.per_second > 0 ? 1'000'000'000 / limit.per_second : 0;
  slack_ = interval * ((limit.burst > 0 ? limit.burst : limit.per_second) - 1);
  interval_ = interval;
}

std::chrono::nanoseconds Buckets::Take(std::string_view name) {
  const std::int64_t interval = interval_;
  const std::int64_t slack = slack_;
  if (interval == 0) return std::chrono::nanoseconds(0);
  const std::string key(name);
  const std::int64_t now = Now();
  Part& part = PartOf(key);
  MutexLock lock(&part.mutex);
  std::int64_t& full_at = part.full_at.FindOrAdd(key, now);
  const std::int64_t begin = std::max(full_at, now);
  if (begin - now > slack) return std::chrono::nanoseconds(begin - now - slack);
  full_at = begin + interval;
  return std::chrono::nanoseconds(0);
}

bool Buckets::IsEmpty(std::string_view name) const {
  if (interval_ == 0) return false;
  const std::string key(name);
  Part& part = PartOf(key);
  MutexLock lock(&part.mutex);
  const std::int64_t* full_at = part.full_at.Find(key);
  return full_at != nullptr && *full_at - Now() > slack_;
}

RateLimiter::RateLimiter(RateLimit limit, const Clock& clock)
    : principals_(limit, kMaxPrincipals, clock), addresses_(limit, kMaxAddresses, clock) {}

void RateLimiter::Set(RateLimit limit) {
  principals_.Set(limit);
  addresses_.Set(limit);
}

absl::Status RateLimiter::TakeFor(std::string_view principal) {
  const std::chrono::nanoseconds wait = principals_.Take(principal);
  if (wait.count() == 0) return absl::OkStatus();
  limited_principals_.Add();
  return Limited(wait);
}

absl::Status RateLimiter::TakeForAddress(std::string_view address) {
  const std::chrono::nanoseconds wait = addresses_.Take(NetworkOf(address));
  if (wait.count() == 0) return absl::OkStatus();
  limited_addresses_.Add();
  return Limited(wait);
}

bool RateLimiter::IsSpent(std::string_view address) const { return addresses_.IsEmpty(NetworkOf(address)); }

void RateLimiter::Write(metrics::Text& text) const {
  text.Family("fabro_rate_limited_total", "counter", "Requests refused because their sender asks too often.");
  text.Sample(limited_principals_.value(), "by=\"principal\"");
  text.Sample(limited_addresses_.value(), "by=\"address\"");
}

std::string NetworkOf(std::string_view address) {
  std::string text(address);
  in6_addr v6;
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6)) return text;
  std::fill(v6.s6_addr + 8, v6.s6_addr + 16, std::uint8_t{0});
  char shown[INET6_ADDRSTRLEN];
  return ::inet_ntop(AF_INET6, &v6, shown, sizeof shown) != nullptr ? StrCat(shown, "/64") : text;
}

}  // namespace fabro::auth
