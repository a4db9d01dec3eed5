#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/auth/authenticator.h"

namespace fabro::auth {
namespace {

constexpr char kLocalUser[] = "local";

std::string_view WithoutPort(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

absl::Status Refuse(std::string_view what) {
  return Error(absl::StatusCode::kPermissionDenied, Reason::kForbidden, "", what);
}

class Loopback final : public Authenticator {
 public:
  explicit Loopback(std::vector<std::string> allowed_origins)
      : allowed_origins_(std::move(allowed_origins)) {}

  absl::Status Admit(const Caller& caller) const override {
    if (!IsLoopbackAuthority(caller.host)) {
      return Refuse("Access denied: without authentication this server answers to loopback host names only.");
    }
    if (caller.origin.empty() || IsSameOrigin(caller.origin, caller.host)) return absl::OkStatus();
    if (std::ranges::find(allowed_origins_, caller.origin) != allowed_origins_.end()) return absl::OkStatus();
    return Refuse("Access denied: requests from web pages of other origins are refused.");
  }

  absl::StatusOr<std::string> Authenticate(const Caller&) const override { return std::string(kLocalUser); }

 private:
  const std::vector<std::string> allowed_origins_;
};

}  // namespace

bool IsLoopbackAuthority(std::string_view authority) {
  const std::string_view host = WithoutPort(authority);
  if (EqualsIgnoreCase(host, "localhost") || EqualsIgnoreCase(host, "localhost.")) return true;
  if (host == "[::1]") return true;
  in_addr address{};
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool IsSameOrigin(std::string_view origin, std::string_view authority) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) && EqualsIgnoreCase(origin.substr(scheme.size()), authority)) return true;
  }
  return false;
}

std::unique_ptr<Authenticator> MakeLoopbackAuthenticator(std::vector<std::string> allowed_origins) {
  return std::make_unique<Loopback>(std::move(allowed_origins));
}

}  // namespace fabro::auth
