// Who asks, and whether they may ask here at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/security/certificate.h"

namespace fabro {
class Clock;
}

namespace fabro::auth {

class AuthMetrics;
class Strategy;

// What of a request tells who sent it. Views into the request.
struct Caller {
  std::string_view host;    // the Host header
  std::string_view origin;  // the Origin header; empty: not a browser's cross-origin request
  std::string_view authorization;
  const security::PeerCertificate* certificate = nullptr;  // null: the client has shown none
  std::string_view peer;                                   // its address; this and the next for the log only
  std::string_view request_id;
  // Too many requests from there were refused of late: a credential that would take work to check, because it
  // has not been seen before, is not looked at.
  bool only_known = false;
};

// Thread-safe.
class Authenticator {
 public:
  virtual ~Authenticator() = default;

  // For every request, open routes included. PermissionDenied: not from here.
  virtual absl::Status Admit(const Caller& caller) const = 0;

  // Who asks, as the text of a security::Principal. Unauthenticated: no credential or a bad one.
  // PermissionDenied: known, but not allowed. ResourceExhausted: see Caller::only_known.
  virtual absl::StatusOr<std::string> Authenticate(const Caller& caller) const = 0;
};

// For a listener that only this machine reaches: everyone is `local`. A web page elsewhere can still make the
// user's browser send requests here, hence: the Host must be a loopback name (a foreign name that resolves to
// this machine is refused), and an Origin must be this server itself or one of `allowed_origins`
// ("https://host[:port]").
std::unique_ptr<Authenticator> MakeLoopbackAuthenticator(std::vector<std::string> allowed_origins);

// The first strategy that succeeds says who asks. When none does: PermissionDenied if one of them knew the
// caller and refused, else Unauthenticated; so always, without any strategy. What clients are told is the
// same for every reason; the reason is counted, and logged now and then. The clock and the metrics outlive
// it.
std::unique_ptr<Authenticator> MakeAuthenticator(std::vector<std::unique_ptr<Strategy>> strategies,
                                                 const Clock& clock, AuthMetrics& metrics);

// "localhost", "localhost:3000", "127.0.0.1", "[::1]:3000" and the like.
bool IsLoopbackAuthority(std::string_view authority);

// Whether a page of that origin ("https://host[:port]") was served by who answers to the Host `authority`.
bool IsSameOrigin(std::string_view origin, std::string_view authority);

}  // namespace fabro::auth
