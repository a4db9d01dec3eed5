// Several strategies as one authenticator.
#include <array>
#include <atomic>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "gateway/auth/auth_metrics.h"
#include "gateway/auth/authenticator.h"
#include "gateway/auth/strategy.h"

namespace fabro::auth {
namespace {

// At most one line for each reason in this time: who guesses must not fill the disk.
constexpr std::chrono::seconds kLogPause{10};

// Which of two refusals says more about what went wrong.
int Weight(Refusal refusal) {
  if (refusal == Refusal::kUnseen) return 3;
  if (IsForbidden(refusal)) return 2;
  return refusal == Refusal::kNoCredential ? 0 : 1;
}

absl::Status ToStatus(Refusal refusal) {
  if (refusal == Refusal::kUnseen) {
    return Error(absl::StatusCode::kResourceExhausted, Reason::kLimit, "", "Too many requests.");
  }
  if (IsForbidden(refusal)) {
    return Error(absl::StatusCode::kPermissionDenied, Reason::kForbidden, "", "Access denied.");
  }
  return Error(absl::StatusCode::kUnauthenticated, Reason::kUnauthenticated, "", "Authentication required.");
}

class Strategies final : public Authenticator {
 public:
  Strategies(std::vector<std::unique_ptr<Strategy>> strategies, const Clock& clock, AuthMetrics& metrics)
      : strategies_(std::move(strategies)), clock_(clock), metrics_(metrics) {}

  absl::Status Admit(const Caller&) const override { return absl::OkStatus(); }

  absl::StatusOr<std::string> Authenticate(const Caller& caller) const override {
    const Timestamp now = clock_.Now();
    Verdict worst;
    for (const auto& strategy : strategies_) {
      Verdict verdict = strategy->Check(caller, now);
      if (!verdict.principal.empty()) {
        metrics_.CountAccepted(strategy->name());
        return std::move(verdict.principal);
      }
      if (Weight(verdict.refusal) > Weight(worst.refusal)) worst = std::move(verdict);
    }
    metrics_.CountRefused(worst.refusal);
    if (worst.refusal != Refusal::kNoCredential) Log(caller, worst);
    return ToStatus(worst.refusal);
  }

 private:
  void Log(const Caller& caller, const Verdict& verdict) const {
    const std::int64_t now =
        std::chrono::duration_cast<std::chrono::seconds>(clock_.Steady().time_since_epoch()).count();
    std::atomic<std::int64_t>& next = next_line_[static_cast<std::size_t>(verdict.refusal)];
    std::int64_t due = next.load(std::memory_order_relaxed);
    if (now < due || !next.compare_exchange_strong(due, now + kLogPause.count())) return;
    log::Warn("credentials refused; more of this kind within 10 s are only counted",
              {{"reason", ToString(verdict.refusal)},
               {"user", verdict.user},
               {"peer", caller.peer},
               {"request_id", caller.request_id}});
  }

  const std::vector<std::unique_ptr<Strategy>> strategies_;
  const Clock& clock_;
  AuthMetrics& metrics_;
  mutable std::array<std::atomic<std::int64_t>, kRefusals> next_line_{};  // steady seconds
};

}  // namespace

std::unique_ptr<Authenticator> MakeAuthenticator(std::vector<std::unique_ptr<Strategy>> strategies,
                                                 const Clock& clock, AuthMetrics& metrics) {
  return std::make_unique<Strategies>(std::move(strategies), clock, metrics);
}

}  // namespace fabro::auth
