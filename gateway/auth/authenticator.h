// Who asks, and whether they may ask here at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fabro::auth {

// What of a request tells who sent it. Views into the request.
struct Caller {
  std::string_view host;    // the Host header
  std::string_view origin;  // the Origin header; empty: not a browser's cross-origin request
  std::string_view authorization;
};

// Thread-safe.
class Authenticator {
 public:
  virtual ~Authenticator() = default;

  // For every request, open routes included. PermissionDenied: not from here.
  virtual absl::Status Admit(const Caller& caller) const = 0;

  // The name of who asks. Unauthenticated: no credential or a bad one. PermissionDenied: known, but not
  // allowed.
  virtual absl::StatusOr<std::string> Authenticate(const Caller& caller) const = 0;
};

// For a listener that only this machine reaches: everyone is `local`. A web page elsewhere can still make the
// user's browser send requests here, hence: the Host must be a loopback name (a foreign name that resolves to
// this machine is refused), and an Origin must be this server itself or one of `allowed_origins`
// ("https://host[:port]").
std::unique_ptr<Authenticator> MakeLoopbackAuthenticator(std::vector<std::string> allowed_origins);

// "localhost", "localhost:3000", "127.0.0.1", "[::1]:3000" and the like.
bool IsLoopbackAuthority(std::string_view authority);

}  // namespace fabro::auth
