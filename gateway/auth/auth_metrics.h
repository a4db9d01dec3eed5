// What is counted of credentials and limits.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/base/metrics.h"
#include "core/base/mutex.h"
#include "gateway/auth/strategy.h"

namespace fabro::auth {

// Thread-safe.
class AuthMetrics {
 public:
  void CountAccepted(std::string_view strategy);  // "jwt", "mtls"
  void CountRefused(Refusal refusal) { refused_[static_cast<std::size_t>(refusal)].Add(); }

  void Write(metrics::Text& text) const;

 private:
  metrics::Counter jwt_;
  metrics::Counter mtls_;
  std::array<metrics::Counter, kRefusals> refused_;
};

}  // namespace fabro::auth
