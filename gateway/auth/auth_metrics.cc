#include "gateway/auth/auth_metrics.h"

#include "core/base/strings.h"

namespace fabro::auth {

void AuthMetrics::CountAccepted(std::string_view strategy) { (strategy == "jwt" ? jwt_ : mtls_).Add(); }

void AuthMetrics::Write(metrics::Text& text) const {
  text.Family("fabro_auth_accepted_total", "counter", "Requests whose credentials were accepted.");
  text.Sample(jwt_.value(), "strategy=\"jwt\"");
  text.Sample(mtls_.value(), "strategy=\"mtls\"");
  text.Family("fabro_auth_refused_total", "counter", "Requests refused for their credentials.");
  for (std::size_t i = 0; i < kRefusals; ++i) {
    text.Sample(refused_[i].value(), StrCat("reason=\"", ToString(static_cast<Refusal>(i)), '"'));
  }
}

}  // namespace fabro::auth
